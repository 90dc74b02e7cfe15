"""The pages a person sees: small, readable on a phone, without scripts or anything from elsewhere."""

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

STYLE = """
:root { color-scheme: light dark; --ink: #17233c; --soft: #5b6780; --line: #c5cddb; --page: #eef2f7;
  --card: #ffffff; --main: #0f5f59; --main-ink: #ffffff; --bad: #a3212b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf6; --soft: #a6b1c6; --line: #46536b;
  --page: #10151f; --card: #1a2231; --main: #4fb8ad; --main-ink: #06201d; --bad: #ff9aa2; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.25rem;
  background: var(--page); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 25rem; padding: 2rem 1.75rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .9rem; }
.bank { margin: 0; color: var(--soft); font-size: .9rem; }
h1 { margin: .1rem 0 1rem; font-size: 1.4rem; line-height: 1.25; }
label { display: block; margin: 1rem 0 .3rem; font-weight: 600; }
input { width: 100%; padding: .7rem .8rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--soft); border-radius: .5rem; }
input[aria-invalid=true] { border-color: var(--bad); }
.hint { margin: .3rem 0 0; color: var(--soft); font-size: .875rem; }
.error { margin: 0 0 .5rem; padding: .6rem .8rem; color: var(--bad); border: 1px solid currentColor;
  border-radius: .5rem; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.5rem; }
button { flex: 1 1 9rem; padding: .75rem 1rem; font: inherit; font-weight: 600; cursor: pointer;
  color: var(--main-ink); background: var(--main); border: 1px solid var(--main); border-radius: .5rem; }
button.quiet { color: var(--ink); background: transparent; border-color: var(--line); }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px; }
ul { margin: 0; padding: 0; list-style: none; }
li { display: flex; align-items: center; gap: .75rem; padding: .6rem 0;
  border-bottom: 1px solid var(--line); }
li span { flex: 2 1 auto; }
li button { flex: 0 0 auto; padding: .4rem .8rem; }
"""


class Words(NamedTuple):
    connect: str
    reconnect: str
    manage: str
    intro: str
    login: str
    password: str
    hint: str
    submit: str
    cancel: str
    wrong: str
    none: str
    delete: str
    done: str
    failed: str


ENGLISH = Words(
    connect="Connect your bank",
    reconnect="Confirm your access",
    manage="Your banks",
    intro="This is a simulated bank: nothing here is real.",
    login="Login",
    password="Password",
    hint="A persona's name or an account of the data set; the password is 1234.",
    submit="Connect",
    cancel="Cancel",
    wrong="The login or the password is wrong. Please try again.",
    none="No bank is connected.",
    delete="Delete",
    done="Done",
    failed="This page cannot be used",
)
FRENCH = Words(
    connect="Connectez votre banque",
    reconnect="Confirmez votre accès",
    manage="Vos banques",
    intro="Cette banque est simulée : rien ici n'est réel.",
    login="Identifiant",
    password="Mot de passe",
    hint="Le nom d'un personnage ou un compte du jeu de données ; le mot de passe est 1234.",
    submit="Se connecter",
    cancel="Annuler",
    wrong="L'identifiant ou le mot de passe est incorrect. Veuillez réessayer.",
    none="Aucune banque n'est connectée.",
    delete="Supprimer",
    done="Terminer",
    failed="Cette page ne peut pas servir",
)


def words(language: str) -> tuple[str, Words]:
    """Return the words of a language and their own language, which is English for most."""
    return ("fr", FRENCH) if language == "fr" else ("en", ENGLISH)


def login_page(language: str, flow: str, bank: str, *, login: str = "", wrong: bool = False) -> str:
    """The form has no action: it posts to the address of the page, query string included."""
    lang, say = words(language)
    invalid = ' aria-invalid="true" aria-describedby="wrong"' if wrong else ""
    error = f'<p class="error" id="wrong" role="alert">{escape(say.wrong)}</p>' if wrong else ""
    # After a mistake the login is kept, and the password is what must be typed again.
    focus_login, focus_password = ("", " autofocus") if login else (" autofocus", "")
    title = say.reconnect if flow == "reconnect" else say.connect
    return page(
        lang,
        title,
        f"""<p class="bank">{escape(bank)}</p>
<h1>{escape(title)}</h1>
{error}
<form method="post">
<label for="login">{escape(say.login)}</label>
<input id="login" name="login" value="{escape(login)}" autocomplete="username" autocapitalize="none"
 spellcheck="false" aria-required="true"{invalid}{focus_login}>
<label for="password">{escape(say.password)}</label>
<input id="password" name="password" type="password" autocomplete="current-password"
 aria-required="true"{invalid}{focus_password}>
<p class="hint">{escape(say.intro)} {escape(say.hint)}</p>
<div class="buttons">
<button type="submit">{escape(say.submit)}</button>
<button type="submit" class="quiet" name="cancel" value="1">{escape(say.cancel)}</button>
</div>
</form>""",
    )


def manage_page(language: str, connections: Iterable[tuple[int, str]]) -> str:
    lang, say = words(language)
    items = "".join(
        f"<li><span>{escape(name)} <small>({number})</small></span>"
        f'<button type="submit" class="quiet" name="delete" value="{number}"'
        f' aria-label="{escape(say.delete)} {escape(name)} ({number})">{escape(say.delete)}</button></li>'
        for number, name in connections
    )
    listed = f"<ul>{items}</ul>" if items else f"<p>{escape(say.none)}</p>"
    return page(
        lang,
        say.manage,
        f"""<h1>{escape(say.manage)}</h1>
<form method="post">
{listed}
<div class="buttons"><button type="submit" name="done" value="1">{escape(say.done)}</button></div>
</form>""",
    )


def error_page(language: str, reason: str) -> str:
    lang, say = words(language)
    return page(lang, say.failed, f"<h1>{escape(say.failed)}</h1>\n<p>{escape(reason)}</p>")


def page(lang: str, title: str, content: str) -> str:
    return f"""<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{content}
</main>
</body>
</html>
"""
