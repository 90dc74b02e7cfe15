"""Numbers of French accounts, with their check digits."""

LETTERS_AS_DIGITS = str.maketrans({chr(ord("A") + place): str(place + 10) for place in range(26)})


def iban(bank: int, branch: int, account: int) -> str:
    """Return a French IBAN; both its keys (RIB, and modulo 97) are right."""
    rib_key = 97 - (89 * bank + 15 * branch + 3 * account) % 97
    basic = f"{bank:05d}{branch:05d}{account:011d}{rib_key:02d}"
    return f"FR{check_digits('FR', basic)}{basic}"


def check_digits(country: str, basic: str) -> str:
    return f"{98 - remainder(basic + country + '00'):02d}"


def remainder(text: str) -> int:
    return int(text.translate(LETTERS_AS_DIGITS)) % 97
