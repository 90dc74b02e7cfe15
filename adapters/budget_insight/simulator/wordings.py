"""What type Budget Insight gives an operation, where a data set does not say: it follows from how the wording begins."""

# The first that a wording begins with, in capitals.
TYPE_OF_WORDING = {
    "CB DEBIT DIFFERE": "deferred_card",
    "DEBIT MENSUEL CARTE": "summary_card",
    "CB DEBIT": "card",
    "CB ": "card",
    "CARTE": "card",
    "CARD PAYMENT": "card",
    "FACTURE CARTE": "card",
    "PAIEMENT CB": "card",
    "PAIEMENT PAR CARTE": "card",
    "ACHAT CB": "card",
    "COMPRA": "card",
    "BETAALAUTOMAAT": "card",
    "BEA": "card",
    "REMBOURST CB": "card",
    "RETRAIT": "withdrawal",
    "GELDAUTOMAAT": "withdrawal",
    "CASH WITHDRAWAL": "withdrawal",
    "PRLV": "order",
    "PRELEVEMENT": "order",
    "PRELVT": "order",
    "DIRECT DEBIT": "order",
    "RECIBO": "order",
    "INCASSO": "order",
    "DOMICILIERING": "order",
    "VIR": "transfer",
    "TRANSFER": "transfer",
    "OVERSCHRIJVING": "transfer",
    "OVERBOEKING": "transfer",
    "ECHEANCE PRET": "loan_repayment",
    "CHEQUE": "check",
    "CHQ": "check",
    "REMISE CHEQUES": "check",
    "COMMISSIONS": "bank",
    "FRAIS": "bank",
    "REMUNERATION": "bank",
}


def powens_type(wording: str) -> str:
    text = wording.upper()
    return next((type_ for start, type_ in TYPE_OF_WORDING.items() if text.startswith(start)), "unknown")
