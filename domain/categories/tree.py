"""The category tree: what the labels of rows are called at the Insights door, and what they belong to.

Every label is a category, and so is every group of labels; `UNCATEGORISED` is that of a row without a label. Roots are
groups. The ids are made up once and are for ever: clients keep them. One that is not used any more stays here.

Shape: the category list of `POST /insights/v1/categories/get`, where a category may have several parents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID, uuid5

from domain.categories.vocabulary import (
    BENEFIT,
    ESSENTIAL,
    FEE,
    INCIDENT,
    INCOME,
    LABELS,
    LOAN,
    NON_ESSENTIAL,
    OTHER,
    TAX,
    TRANSFER,
)


class Category(NamedTuple):
    id: str
    name: str
    """For people."""
    parents: tuple[str, ...]
    """Ids; none of a root."""


class Brand(NamedTuple):
    id: str
    """The same wherever and whenever the name is met."""
    name: str


#: By group its id and its name.
_GROUPS: dict[str, tuple[str, str]] = {
    INCOME: ("86d85b62-b946-49ff-b882-fd609ec71f61", "Income"),
    BENEFIT: ("83f28282-edfa-4286-abc9-33f56e7c628b", "Benefits"),
    ESSENTIAL: ("320b77b3-0d53-4ade-b790-39c590bd2e65", "Essential expenses"),
    NON_ESSENTIAL: ("7de23917-bbe6-4410-8d0e-fc3a1e5aab26", "Other expenses"),
    LOAN: ("3d643d94-fe21-443d-9cff-dccd202ff4b0", "Loans"),
    TAX: ("d2b7330e-9626-4c2c-91d9-535d9ab641ad", "Taxes"),
    FEE: ("b12ca386-39e1-412d-b1f2-66c19976e3ce", "Bank charges"),
    INCIDENT: ("c3f37523-2b65-4053-8fb2-6be6f282e1bf", "Incidents"),
    TRANSFER: ("a3cd53a9-f0af-48f0-9985-65648bf6c640", "Transfers"),
    OTHER: ("4728fba2-5314-489e-a10e-66e27e92eaa0", "Other"),
}
#: The groups that belong to others; the rest are roots.
_GROUP_PARENTS: dict[str, tuple[str, ...]] = {BENEFIT: (INCOME,)}

#: What a label belongs to, labels or groups, where it is not just its own group.
_PARENTS: dict[str, tuple[str, ...]] = {
    "WAGE_BONUS": ("WAGE",),
    **dict.fromkeys((name for name in LABELS if name.startswith("ALLOWANCE_")), ("ALLOWANCE",)),
    **dict.fromkeys((name for name in LABELS if name.startswith("LOAN_REPAYMENT_")), ("LOAN_REPAYMENT",)),
    "INSURANCE_LOAN": ("INSURANCE", LOAN),
    "TAX_REFUND": (OTHER, TAX),
    **dict.fromkeys(
        (
            "FEES_PAYMENT_REJECTION",
            "FEES_CHECK_REJECTION",
            "FEES_DIRECT_DEBT_RECOVERY",
            "FEES_PREVENTIVE_SEIZURE",
            "FEES_ACCOUNT_SEIZURE",
        ),
        (FEE, INCIDENT),
    ),
}

#: By label its id.
_LABELS: dict[str, str] = {
    "WAGE": "097b42b2-200e-4fd7-8a7f-7056bd5c0f2f",
    "WAGE_BONUS": "de5493c3-d4da-4e00-a264-4be2ee2072bb",
    "WAGE_ADVANCE_PAYMENT": "c063b998-5b72-4f0b-a990-71925c187944",
    "WAGE_SALARY_ADVANCE": "f3cab208-d83e-4bb6-a2b1-5b22437a5a05",
    "ALLOWANCE": "5a079ad8-3055-41dd-ac03-414fc58527f0",
    "ALLOWANCE_DISABILITY": "8d886bc8-2b82-4505-afb1-aafd58803945",
    "ALLOWANCE_FAMILY": "200a6e8f-be10-4a84-8bb0-df833291ae3f",
    "ALLOWANCE_HEALTH": "07260cf5-8758-4e37-bd4b-15b48abc13ed",
    "ALLOWANCE_HOUSING": "9ab97651-627d-4d1b-b089-321d992710d5",
    "ALLOWANCE_INCOME_SUPPORT": "88e84512-5e19-4097-b7c9-124209e6d0d4",
    "ALLOWANCE_UNEMPLOYMENT": "b4bbfcbf-1067-4bf4-88ff-2cbf0a3c3a6e",
    "FREELANCE": "c98b39ec-8553-4b77-8a5f-f13e128b1fe0",
    "REGULAR_INCOME": "7aeb4317-6a37-49ff-b094-dbae1e88baf2",
    "RENTAL_INCOME": "a93f6616-7a5a-4c41-a200-8d5aa7f70088",
    "RETIREMENT_PENSION": "caf20b58-f9f6-4305-8da2-32d33ed76dee",
    "REVERSIONARY_PENSION": "a7afb544-c46d-4b85-9ca8-d02e34cd18d3",
    "STATE_SUBSIDY": "7f5d4a3d-d0f7-4aa3-8912-3f345f49bea4",
    "RECEIVED_ALIMONY": "df0be823-dbec-4ce3-97cd-23380724bf05",
    "INTEREST": "bce11f1c-6478-4689-acf8-bd35f5e7c1fd",
    "HEALTH_REIMBURSEMENT": "6a21a6af-1cee-48c4-8091-7d11d7b54254",
    "TAX_REFUND": "fd1e1a79-449b-42e9-a001-11e444b92d56",
    "REFUND": "f9d5a56b-597b-4a1c-85c2-1ba7f0011365",
    "DISSAVING": "30b037d1-a60c-4959-8b5b-e6b25ce736e9",
    "GAMBLING_GAIN": "c7e958fe-62d4-45f8-ace8-24faec84925e",
    "CASH_DEPOSIT": "081b9815-ab7b-4d5c-a9f5-d7ea61ab2c2a",
    "CHECK_DEPOSIT": "c171dca0-ecb8-48c0-b53a-75cc34623949",
    "SALES": "befd7fa9-c149-4d55-8c02-6ea5b41f1513",
    "OTHER_ENTRY": "c9f3184f-ff7d-48a6-9b4b-30ebf239390f",
    "LOAN_REPAYMENT": "182fdce9-d651-475d-858f-da9c81ee3311",
    "LOAN_REPAYMENT_REAL_ESTATE": "4146f7e4-2ff3-4d71-ac25-22fcf0224672",
    "LOAN_REPAYMENT_PERSONAL": "db927db0-61f1-4357-98bf-250b4355685b",
    "LOAN_REPAYMENT_REVOLVING": "ac751cef-f23c-42fc-9799-16f60444e168",
    "LOAN_REPAYMENT_FAST": "8165bd92-b35c-4370-8956-ec539df1f9dd",
    "SPLIT_PAYMENT": "764d8f13-a650-43ca-8495-83f77033f8e5",
    "LOAN_DRAWDOWN": "4a95e127-8caf-4b45-9ad2-16d75b265956",
    "INSURANCE_LOAN": "77934093-e7d0-4c99-b497-cb69feda88ca",
    "DEBT_COLLECTION": "c44184ab-8aab-4af9-ad96-1d6e5d7b0c90",
    "BAILIFF": "59d25344-e2d7-438c-aa6b-bd770169f560",
    "RENT": "95cc6d01-1abb-49e7-80e7-25217ed29690",
    "POWER": "40bf4f65-d6b4-411a-908b-33c5105697d1",
    "WATER": "b48fb9bf-3b08-4b59-983c-355871870e5e",
    "TELECOM": "f2a398e4-bc49-4dfa-95c8-8a6c69cdbdb4",
    "INSURANCE": "ca6f6458-67e1-4040-a907-caea5f3ec8a5",
    "HEALTH": "77716f2a-9ef6-4854-a31a-1f8f57591e7b",
    "GROCERIES": "852eab6a-fe60-4d15-82db-45985b9fa684",
    "TRANSPORT": "fae17700-c466-4f9a-98aa-e82ae1592ab4",
    "FUEL": "d914cf87-a3cd-44c2-9c01-9b3ccd6555c4",
    "EDUCATION": "65a6de9d-7747-46e3-8110-e5d6308e42c3",
    "HOUSEHOLD": "89a8850f-0297-439b-be41-48252299d627",
    "PAID_ALIMONY": "bec8ea0b-5564-44d1-8bc3-fa5eb5c314ea",
    "REGULAR_EXPENSE": "f56fb088-33f1-4359-a4f8-92067569972a",
    "MULTIMEDIA": "1f54520a-85bf-4e62-82aa-7df2a868b095",
    "SPORT": "25139c5f-1650-494f-b1f1-2eec219e6d35",
    "RESTAURANT": "b4714c4c-ee2e-49aa-90a8-0b5a072fb7c5",
    "SHOPPING": "a41a288e-781e-4ea2-af84-27579a9064ec",
    "TRAVEL": "c5ad338f-05da-45bb-a004-8bfe210fdd9e",
    "TOBACCO": "57edbecd-a674-497c-8d6a-fb7dd1b0343b",
    "DONATION": "c872fa75-05cf-41f5-ba4b-5a032368251c",
    "GAMBLING": "06d4ae0f-1746-41e8-9f55-6fa182d3fc8f",
    "CASH_WITHDRAWAL": "a2c730fa-2feb-4b9f-9557-b824f06981c1",
    "CHECK": "874a0fb3-6def-4ae0-a02e-7328048f4d1a",
    "CARD_SETTLEMENT": "e452b09b-7ab6-49ec-9ad7-482fadaf9a56",
    "PAYROLL": "f5e66f71-d2b5-417f-877a-743281bfc1d6",
    "SUPPLIER": "d784ebd6-8625-49a3-be0f-054a6e976d43",
    "INCOME_TAX": "e370b642-81b8-4ccb-ba81-f8f0667b782f",
    "HOUSING_TAX": "83c5c392-aa91-40d2-9cea-ba9deac88e76",
    "PERSO_TAX": "e5170fbe-3f45-4244-ab89-ecc037502888",
    "SOCIAL_CHARGES": "2a6a8129-591a-4bd5-a426-59ef963f7244",
    "BANK_FEES": "47b00350-42af-438d-b1d1-6f47cefc16b7",
    "FEES_OVERDRAFT": "eb018568-fcd1-4418-b03a-aa5fbc14c77f",
    "FEES_INTERVENTION": "fe7644c9-a14d-46a0-84b1-dab0eaad2778",
    "FEES_PAYMENT_REJECTION": "8d6f3377-8386-4288-a986-5c9303c5f900",
    "FEES_CHECK_REJECTION": "898d6bb7-a145-4fc4-bf26-0efe9584495a",
    "FEES_DIRECT_DEBT_RECOVERY": "c7dfc8f7-a32c-4221-a0bc-2b78fe198a71",
    "FEES_PREVENTIVE_SEIZURE": "c2c838c3-aec4-4b48-837c-5e3e41c2d0f2",
    "FEES_ACCOUNT_SEIZURE": "af2a3003-a8c3-4fc7-8caf-2d4ff8796381",
    "FEE_REVERSAL": "b218c0d8-a246-44d8-96ff-963abc59c877",
    "PAYMENT_REJECTION": "b6f4ca8e-8cfd-40c2-a21f-63b651e9e2f3",
    "CHECK_REJECTION": "5317a96b-c1fc-415b-8fe0-138c7a978370",
    "ACCOUNT_SEIZURE": "668fe900-7570-4f09-b782-8b4a9dabd2cc",
    "DIRECT_DEBT_RECOVERY": "56e16910-6e5b-4397-bb66-7f9dec5b3688",
    "PROVISION_DIRECT_DEBT_RECOVERY": "acd6f33b-28d4-4b6d-beb9-6426e92ea163",
    "PROVISION_PREVENTIVE_SEIZURE": "53fb66ec-384d-4f3b-9b42-81a693f1f1d6",
    "TRANSFER": "e97dacd5-7df8-4a53-921c-6f54b49cfc3d",
    "SAVING": "a97b5ff0-8f42-44a5-8aa6-09d75777accc",
}

UNCATEGORISED = Category("e3e9d918-0299-45b7-8ea5-4d9d3a156682", "Uncategorised", ())
_BRANDS = UUID("b3442f23-e3d8-4a5e-813d-feb9f5318fee")


def _id_of(name: str) -> str:
    """The id of a label or a group."""
    return _GROUPS[name][0] if name in _GROUPS else _LABELS[name]


def _categories() -> Iterable[Category]:
    for group, (id, title) in _GROUPS.items():
        yield Category(id, title, tuple(map(_id_of, _GROUP_PARENTS.get(group, ()))))
    for name, id in _LABELS.items():
        kind = LABELS[name]
        yield Category(id, kind.title, tuple(map(_id_of, _PARENTS.get(name, (kind.group,)))))
    yield UNCATEGORISED


#: All categories: the groups, the labels, and what has none; in a fixed order.
CATEGORIES: tuple[Category, ...] = tuple(_categories())
BY_ID: Mapping[str, Category] = {category.id: category for category in CATEGORIES}
_LABEL_OF: Mapping[str, str] = {id: name for name, id in _LABELS.items()}


def category_of(label: str) -> Category:
    """The category of a label."""
    return BY_ID[_LABELS[label]]


def label_of(category_id: str) -> str | None:
    """The label of a category; None of a group, of what has no label, and of an id that is none of ours."""
    return _LABEL_OF.get(category_id)


def categories_of(labels: Iterable[str], stated: Sequence[str] = ()) -> tuple[Category, ...]:
    """The categories of a row, the most telling first: those whose ids were stated, or else those of its labels.

    Never none: a row without any is `UNCATEGORISED`. A stated id that is none of ours says nothing.
    """
    known = [BY_ID[id] for id in map(str.lower, stated) if id in BY_ID]
    found = known or [category_of(label) for label in labels]
    return tuple(dict.fromkeys(found)) or (UNCATEGORISED,)


def with_descendants(ids: Iterable[str]) -> frozenset[str]:
    """These categories and all that belong to them."""
    found = frozenset(ids)
    while True:
        more = found | {category.id for category in CATEGORIES if not found.isdisjoint(category.parents)}
        if more == found:
            return found
        found = more


@lru_cache(maxsize=4_096)
def brand_of(name: str) -> Brand:
    """A brand by its name; upper and lower case and spaces tell none apart."""
    return Brand(str(uuid5(_BRANDS, " ".join(name.split()).casefold())), name)
