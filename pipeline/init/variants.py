"""Which columns say what products are variants of one another: the item group and the GTIN."""

from __future__ import annotations

from collections.abc import Iterable

from modules.feeds.identifiers import GTIN, ITEM_GROUP, gtins_in
from pipeline.init.columns import SampledColumn
from pipeline.init.fields import FieldGuess, name_score

GROUP_ALIASES = (
    "item_group_id parent_sku parent_id parent_product_id parent_asin group_id product_group_id variant_group_id "
    "variant_group variation_group variation_parent parent_code parent_item parent handle master_id master_sku "
    "master_product_id configurable_sku style_id style_code style_number model_id family_id gruppen_id "
    "artikelgruppe_id vaterartikel vaterartikelnummer id_groupe id_parent id_grupo id_padre id_gruppo id_grupy"
)
GTIN_ALIASES = (
    "gtin ean upc gtin13 ean13 gtin14 gtin12 gtin8 ean8 ean_code upc_code barcode bar_code variant_barcode isbn isbn13 "
    "jan product_gtin global_unique_id strichcode code_barres code_ean gencod codigo_barras codigo_de_barras "
    "codice_a_barre codice_ean streckkod streepjescode kod_ean kod_kreskowy штрихкод"
)
"""The columns' usual names in exports, the most telling first."""

_NAMED_SHARE = 0.05
"""So many values of a column that is called after GTINs have a right check digit: shops also write numbers of their
own there, which then count as none."""
_UNNAMED_SHARE, _UNNAMED_VALUES = 0.9, 20
"""Of other columns: one number of 13 digits in ten has a right check digit by chance."""
_GROUP_NAME = 0.6
"""Above the score of names that only contain one of GROUP_ALIASES, such as ``parent_category``."""
_FEW = 0.01
"""A column with fewer different values to a product sorts products, and groups no variants."""


def guess_variants(columns: dict[str, SampledColumn], used: Iterable[str]) -> list[FieldGuess]:
    """The item group's column, among those that are not ``used``, and the GTIN's, which may also be the id."""
    taken = set(used)
    groups = [
        (name_score(name, GROUP_ALIASES), name)
        for name, column in columns.items()
        if name not in taken and _groups_products(column)
    ]
    numbers = [(_gtin_score(column), name) for name, column in columns.items() if column.filled]
    chosen = []
    for field, scored, least in ((ITEM_GROUP, groups, _GROUP_NAME), (GTIN, numbers, _NAMED_SHARE)):
        # Of equal ones the column further left.
        score, name = max(scored, key=lambda item: item[0], default=(0.0, ""))
        if score >= least:
            column = columns[name]
            guess = FieldGuess(field, name, round(score, 2), tuple(column.examples()), column.mean_characters)
            chosen.append(guess)
    return chosen


def _groups_products(column: SampledColumn) -> bool:
    return (
        bool(column.filled)
        and not column.nested
        and not column.vectors
        and column.mean_characters <= 100
        and column.uniqueness > _FEW
    )


def _gtin_score(column: SampledColumn) -> float:
    """The share of the values that are GTINs, if name or values say so; 0 for any other column."""
    # A list's sample is one text, with this between its elements.
    texts = ((text.replace(" > ", ","), count) for text, count in column.distinct.items())
    share = column.share(sum(count for text, count in texts if any(gtins_in(text))))
    if name_score(column.name, GTIN_ALIASES):
        return share * (0.9 + 0.1 * name_score(column.name, GTIN_ALIASES)) if share >= _NAMED_SHARE else 0.0
    return 0.8 * share if share >= _UNNAMED_SHARE and len(column.distinct) >= _UNNAMED_VALUES else 0.0
