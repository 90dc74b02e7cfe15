"""The labels that a row may have. Names are those that the contract's credit insights use, where it has one.

A row has any number of them, and none is a value: unlabelled. Source: the vocabulary of `CREDIT_INSIGHTS` in Qard's
`/api/v6`, and what its five parts need beside that.
"""

from __future__ import annotations

from typing import NamedTuple

# Classes of a label: what it counts as.
INCOME = "income"
BENEFIT = "benefit"
ESSENTIAL = "essential"
NON_ESSENTIAL = "non_essential"
LOAN = "loan"
TAX = "tax"
FEE = "fee"
INCIDENT = "incident"
TRANSFER = "transfer"
OTHER = "other"

CREDIT, DEBIT, EITHER = "credit", "debit", "either"


class Kind(NamedTuple):
    """What is known of a label."""

    group: str
    """One of the classes above."""
    direction: str
    """The sign of the rows that may have it."""
    title: str
    """For people."""


LABELS: dict[str, Kind] = {
    # Money that comes in.
    "WAGE": Kind(INCOME, CREDIT, "Wage"),
    "WAGE_BONUS": Kind(INCOME, CREDIT, "Bonus on a wage"),
    "WAGE_ADVANCE_PAYMENT": Kind(LOAN, CREDIT, "Wage paid ahead by a third party"),
    "WAGE_SALARY_ADVANCE": Kind(LOAN, CREDIT, "Wage paid ahead by the employer"),
    "ALLOWANCE": Kind(BENEFIT, CREDIT, "Allowance"),
    "ALLOWANCE_DISABILITY": Kind(BENEFIT, CREDIT, "Disability allowance"),
    "ALLOWANCE_FAMILY": Kind(BENEFIT, CREDIT, "Family allowance"),
    "ALLOWANCE_HEALTH": Kind(BENEFIT, CREDIT, "Health allowance"),
    "ALLOWANCE_HOUSING": Kind(BENEFIT, CREDIT, "Housing allowance"),
    "ALLOWANCE_INCOME_SUPPORT": Kind(BENEFIT, CREDIT, "Income support"),
    "ALLOWANCE_UNEMPLOYMENT": Kind(BENEFIT, CREDIT, "Unemployment benefit"),
    "FREELANCE": Kind(INCOME, CREDIT, "Self-employed income"),
    "REGULAR_INCOME": Kind(INCOME, CREDIT, "Regular income of another kind"),
    "RENTAL_INCOME": Kind(INCOME, CREDIT, "Rent received"),
    "RETIREMENT_PENSION": Kind(INCOME, CREDIT, "Retirement pension"),
    "REVERSIONARY_PENSION": Kind(INCOME, CREDIT, "Survivor's pension"),
    "STATE_SUBSIDY": Kind(BENEFIT, CREDIT, "State subsidy"),
    "RECEIVED_ALIMONY": Kind(INCOME, CREDIT, "Alimony received"),
    "INTEREST": Kind(INCOME, CREDIT, "Interest received"),
    "HEALTH_REIMBURSEMENT": Kind(OTHER, CREDIT, "Health expenses paid back"),
    "TAX_REFUND": Kind(OTHER, CREDIT, "Tax paid back"),
    "REFUND": Kind(OTHER, CREDIT, "Refund"),
    "DISSAVING": Kind(TRANSFER, CREDIT, "Withdrawn from savings"),
    "GAMBLING_GAIN": Kind(OTHER, CREDIT, "Gambling gain"),
    "CASH_DEPOSIT": Kind(OTHER, CREDIT, "Cash deposit"),
    "CHECK_DEPOSIT": Kind(OTHER, CREDIT, "Cheque deposit"),
    "SALES": Kind(INCOME, CREDIT, "Sales and card takings of a business"),
    "OTHER_ENTRY": Kind(OTHER, CREDIT, "Other credit"),
    # Loans.
    "LOAN_REPAYMENT": Kind(LOAN, DEBIT, "Loan repayment"),
    "LOAN_REPAYMENT_REAL_ESTATE": Kind(LOAN, DEBIT, "Mortgage repayment"),
    "LOAN_REPAYMENT_PERSONAL": Kind(LOAN, DEBIT, "Personal or consumer loan repayment"),
    "LOAN_REPAYMENT_REVOLVING": Kind(LOAN, DEBIT, "Revolving credit repayment"),
    "LOAN_REPAYMENT_FAST": Kind(LOAN, DEBIT, "Short-term high-cost credit repayment"),
    "SPLIT_PAYMENT": Kind(LOAN, DEBIT, "Payment in instalments"),
    "LOAN_DRAWDOWN": Kind(LOAN, CREDIT, "Loan paid out"),
    "INSURANCE_LOAN": Kind(ESSENTIAL, DEBIT, "Insurance of a loan"),
    "DEBT_COLLECTION": Kind(LOAN, DEBIT, "Debt collection"),
    "BAILIFF": Kind(LOAN, DEBIT, "Bailiff"),
    # Money that goes out.
    "RENT": Kind(ESSENTIAL, DEBIT, "Rent"),
    "POWER": Kind(ESSENTIAL, DEBIT, "Electricity and gas"),
    "WATER": Kind(ESSENTIAL, DEBIT, "Water"),
    "TELECOM": Kind(ESSENTIAL, DEBIT, "Telephone and internet"),
    "INSURANCE": Kind(ESSENTIAL, DEBIT, "Insurance"),
    "HEALTH": Kind(ESSENTIAL, DEBIT, "Health"),
    "GROCERIES": Kind(ESSENTIAL, DEBIT, "Groceries"),
    "TRANSPORT": Kind(ESSENTIAL, DEBIT, "Transport and upkeep of vehicles"),
    "FUEL": Kind(ESSENTIAL, DEBIT, "Fuel"),
    "EDUCATION": Kind(ESSENTIAL, DEBIT, "Education and childcare"),
    "HOUSEHOLD": Kind(ESSENTIAL, DEBIT, "Household payments and building charges"),
    "PAID_ALIMONY": Kind(ESSENTIAL, DEBIT, "Alimony paid"),
    "REGULAR_EXPENSE": Kind(ESSENTIAL, DEBIT, "Regular expense of another kind"),
    "MULTIMEDIA": Kind(NON_ESSENTIAL, DEBIT, "Television, music, games, press and outings"),
    "SPORT": Kind(NON_ESSENTIAL, DEBIT, "Sport and gym"),
    "RESTAURANT": Kind(NON_ESSENTIAL, DEBIT, "Restaurants and bars"),
    "SHOPPING": Kind(NON_ESSENTIAL, DEBIT, "Shopping"),
    "TRAVEL": Kind(NON_ESSENTIAL, DEBIT, "Travel"),
    "TOBACCO": Kind(NON_ESSENTIAL, DEBIT, "Tobacco and press shops"),
    "DONATION": Kind(NON_ESSENTIAL, DEBIT, "Donation"),
    "GAMBLING": Kind(NON_ESSENTIAL, DEBIT, "Gambling"),
    "CASH_WITHDRAWAL": Kind(OTHER, DEBIT, "Cash withdrawal"),
    "CHECK": Kind(OTHER, DEBIT, "Cheque"),
    "CARD_SETTLEMENT": Kind(OTHER, DEBIT, "Settlement of a deferred card"),
    "PAYROLL": Kind(ESSENTIAL, DEBIT, "Wages paid by a business"),
    "SUPPLIER": Kind(ESSENTIAL, DEBIT, "Suppliers of a business"),
    # Taxes.
    "INCOME_TAX": Kind(TAX, DEBIT, "Income tax"),
    "HOUSING_TAX": Kind(TAX, DEBIT, "Housing or property tax"),
    "PERSO_TAX": Kind(TAX, DEBIT, "Other tax or fine"),
    "SOCIAL_CHARGES": Kind(TAX, DEBIT, "Social contributions"),
    # Fees.
    "BANK_FEES": Kind(FEE, DEBIT, "Account and card fees"),
    "FEES_OVERDRAFT": Kind(FEE, DEBIT, "Overdraft interest and fees"),
    "FEES_INTERVENTION": Kind(FEE, DEBIT, "Intervention commission"),
    "FEES_PAYMENT_REJECTION": Kind(FEE, DEBIT, "Fee of a returned payment"),
    "FEES_CHECK_REJECTION": Kind(FEE, DEBIT, "Fee of a returned cheque"),
    "FEES_DIRECT_DEBT_RECOVERY": Kind(FEE, DEBIT, "Fee of a direct recovery of debt"),
    "FEES_PREVENTIVE_SEIZURE": Kind(FEE, DEBIT, "Fee of a preventive seizure"),
    "FEES_ACCOUNT_SEIZURE": Kind(FEE, DEBIT, "Fee of an account seizure"),
    "FEE_REVERSAL": Kind(FEE, CREDIT, "Fee paid back"),
    # Incidents.
    "PAYMENT_REJECTION": Kind(INCIDENT, EITHER, "Returned payment"),
    "CHECK_REJECTION": Kind(INCIDENT, EITHER, "Returned cheque"),
    "ACCOUNT_SEIZURE": Kind(INCIDENT, DEBIT, "Account seizure"),
    "DIRECT_DEBT_RECOVERY": Kind(INCIDENT, DEBIT, "Direct recovery of debt"),
    "PROVISION_DIRECT_DEBT_RECOVERY": Kind(INCIDENT, DEBIT, "Set aside for a direct recovery of debt"),
    "PROVISION_PREVENTIVE_SEIZURE": Kind(INCIDENT, DEBIT, "Set aside for a preventive seizure"),
    # Neither income nor expense.
    "TRANSFER": Kind(TRANSFER, EITHER, "Said to be a transfer between own accounts"),
    "SAVING": Kind(TRANSFER, DEBIT, "Put into savings"),
}

#: A repayment of a loan of whatever kind, payments in instalments apart.
LOAN_REPAYMENTS = frozenset(
    {
        "LOAN_REPAYMENT",
        "LOAN_REPAYMENT_REAL_ESTATE",
        "LOAN_REPAYMENT_PERSONAL",
        "LOAN_REPAYMENT_REVOLVING",
        "LOAN_REPAYMENT_FAST",
    }
)
WAGES = frozenset({"WAGE", "WAGE_BONUS"})
PENSIONS = frozenset({"RETIREMENT_PENSION", "REVERSIONARY_PENSION"})
WAGE_ADVANCES = frozenset({"WAGE_ADVANCE_PAYMENT", "WAGE_SALARY_ADVANCE"})
OWN_TRANSFERS = frozenset(name for name, kind in LABELS.items() if kind.group == TRANSFER)
BENEFITS = frozenset(name for name, kind in LABELS.items() if kind.group == BENEFIT)
