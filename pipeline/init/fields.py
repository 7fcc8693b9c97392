"""Which column is which product field: names in several languages first, the values as a second clue."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

from modules.settings.feed import Split
from pipeline.init.columns import SampledColumn

ALIASES: dict[str, str] = {
    "id": "id sku product_id aw_product_id merchant_product_id item_id productid uniq_id variant_sku offer_id "
    "article_id asin gtin ean ean13 upc mpn "
    "product_code item_code code artikelnummer artikel_nr art_nr produktnummer reference ref id_produit codigo "
    "id_producto codice id_prodotto artikelcode productnummer kod uuid handle артикул код",
    "title": "title name product_name product_title item_name item_title display_name offer_title product titel "
    "bezeichnung artikelbezeichnung artikelname produktname produkttitel nom nom_produit titre libelle "
    "designation nombre nombre_producto titulo nome nome_prodotto titolo denominazione naam productnaam nazwa "
    "tytul navn namn название наименование 商品名 名称",
    "description": "description product_description long_description body_html body body_text details product_details "
    "about_product overview summary short_description beschreibung produktbeschreibung artikelbeschreibung "
    "langtext long_text descriptif description_produit descripcion descrizione descricao omschrijving opis beskrivning "
    "beskrivelse описание 说明",
    "brand": "brand brand_name brands manufacturer vendor maker producer marke hersteller markenname marque "
    "fabricant marca "
    "fabricante produttore merk fabrikant producent marka varumarke бренд производитель 品牌",
    "price": "price search_price sale_price selling_price current_price final_price discounted_price variant_price "
    "unit_price amount "
    "retail_price list_price regular_price preis verkaufspreis prix prix_ttc tarif precio prezzo preco prijs "
    "cena pris цена 价格 uvp rrp msrp",
    "currency": "currency currency_code price_currency waehrung wahrung devise moneda valuta moeda waluta валюта",
    "gender": "gender sex target_gender ideal_for geschlecht genre sexe genero genere sesso geslacht plec kon пол 性别",
    "size": "size sizes product_size variant_size groesse grosse taille pointure talla tamano taglia misura tamanho "
    "maat rozmiar storlek размер 尺码",
    "color": "color colour color_name base_colour base_color colors farbe couleur coloris color_es colore cor kleur "
    "kolor farg цвет 颜色",
    "availability": "availability in_stock stock stock_status is_in_stock inventory_status "
    "verfuegbarkeit verfugbarkeit "
    "lagerbestand verfugbar verfuegbar lieferbar disponibilite disponibilidad disponibilita beschikbaarheid "
    "dostepnosc наличие",
    "image": "image image_link image_url images merchant_image_url base_image image_src img img_url picture "
    "picture_url thumbnail main_image photo bild "
    "bild_url image_principale imagen immagine imagem afbeelding zdjecie obrazek картинка",
    "retailer": "retailer merchant shop store shop_name store_name merchant_name seller seller_name marketplace source "
    "haendler handler boutique magasin vendeur tienda negozio loja winkel sklep магазин",
    "url": "url link product_url aw_deep_link merchant_deep_link product_link deeplink deep_link permalink "
    "canonical_url page_url produkt_url lien "
    "enlace collegamento ссылка",
}
"""Product field to its columns' usual names, the most telling first."""

CATEGORY_ALIASES = (
    "category_path product_category_tree category_tree google_product_category categories category product_type "
    "product_category breadcrumb breadcrumbs category_name item_category taxonomy cats cat merchant_category "
    "merchant_product_category_path "
    "product_types sub_category subcategory main_category raw_category department article_type kategorie "
    "kategorien produktkategorie warengruppe sortiment categorie categorie_produit rubrique rayon categoria "
    "categorias categoria_producto reparto produktgruppe kategoria kategori productgroep категория раздел 类目 分类 "
    "カテゴリ type group class"
)


def _words(text: str, separator: str | None = None) -> frozenset[str]:
    return frozenset(text.split(separator))


_GENDERS = _words(
    "adult baby boy boys damen dames donna enfant f female femme girl girls heren herren hombre homme jungen "
    "kids kinder m madchen male man men mens mujer u unisex uomo w woman women womens"
)
_KINDS = _words(
    "simple|variable|variation|configurable|grouped|bundle|bundled|virtual|downloadable|external|subscription|giftcard|"
    "simple, virtual|simple, downloadable|simple, downloadable, virtual|product|parent|child|variant",
    "|",
)
"""What shop systems write into a column called type: how a product is sold, not what it is."""
_HUNDREDTHS = _words("cent cents penny pence centimes centimos centesimi minor")
_STOCK = _words(
    "0|1|auf lager|available|backorder|disponibile|disponible|en stock|false|in stock|in_stock|instock|"
    "ja|lieferbar|n|nein|nicht lieferbar|nicht verfügbar|no|out of stock|out_of_stock|outofstock|preorder|"
    "true|unavailable|verfügbar|y|yes",
    "|",
)


@dataclass(frozen=True)
class FieldGuess:
    """One product field's column.

    Attributes:
      confidence: 0 to 1, of name and values together; an ordering, not a probability.
      characters: of a value, on average.
    """

    field: str
    column: str
    confidence: float
    examples: tuple[str, ...]
    characters: float = 0.0


def normalise(name: str) -> tuple[str, ...]:
    """A column name as plain lower-case words: ``g:imageLink`` gives ``("image", "link")``."""
    name = name.rpartition(":")[2] or name
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    name = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)).casefold()
    return tuple(re.findall(r"[^\W_]+", name))


def name_score(column: str, aliases: str) -> float:
    """1 for the most telling name down to 0 for one that says nothing."""
    words = normalise(column)
    last = normalise(column.rpartition(".")[2])
    names = [normalise(alias) for alias in aliases.split()]
    joined = ["".join(name) for name in names]
    for own, factor in ((words, 1.0), (last, 0.9)):
        if "".join(own) in joined:
            return factor * (1.0 - 0.3 * joined.index("".join(own)) / len(joined))
    unnumbered = "".join(words).rstrip("0123456789")
    if unnumbered in joined:
        return 0.85 * (1.0 - 0.3 * joined.index(unnumbered) / len(joined))
    for name in names:
        if len("".join(name)) > 2 and set(name) <= set(last):
            return 0.5
    return 0.0


def _in_set(column: SampledColumn, values: frozenset[str]) -> float:
    hits = sum(count for text, count in column.distinct.items() if text.casefold().replace("'", "") in values)
    return column.share(hits)


def tells_categories(column: SampledColumn) -> bool:
    """Whether a column that is named like one of categories could be one: not how a product is sold."""
    return _in_set(column, _KINDS) < 0.5


def _id(c: SampledColumn) -> float:
    if c.lists or c.mean_characters > 100 or c.fill < 0.9:
        return 0.0
    return 1.0 if c.uniqueness == 1.0 else 0.8 if c.uniqueness > 0.98 else 0.3 if c.uniqueness > 0.8 else 0.0


def _title(c: SampledColumn) -> float:
    if c.share(c.urls) > 0.2 or c.share(c.figures) > 0.5 or c.mean_characters > 400 or c.lists:
        return 0.0
    return min(1.0, c.uniqueness * 2) * (1.0 if c.mean_words >= 1.5 else 0.4)


def _description(c: SampledColumn) -> float:
    return 0.0 if c.share(c.urls) > 0.2 or c.lists else min(1.0, c.mean_characters / 100)


def _short(c: SampledColumn) -> float:
    if c.share(c.urls) > 0.2 or c.mean_characters > 60:
        return 0.0
    return 1.0 if c.uniqueness < 0.9 or c.rows < 100 else 0.5


def in_hundredths(name: str) -> bool:
    """Whether a column's name says that its prices are whole numbers of a currency's smaller unit."""
    return not _HUNDREDTHS.isdisjoint(normalise(name))


def _currency(c: SampledColumn) -> float:
    return c.share(sum(count for text, count in c.distinct.items() if re.fullmatch(r"[A-Za-z]{3}|[^\w\s]", text)))


VALUE_SCORES: dict[str, Callable[[SampledColumn], float]] = {
    "id": _id,
    "title": _title,
    "description": _description,
    "brand": _short,
    "price": lambda c: 0.0 if in_hundredths(c.name) else c.prices,
    "currency": _currency,
    "gender": lambda c: max(_in_set(c, _GENDERS), 0.3 * _short(c)),
    "size": lambda c: 0.0 if c.mean_characters > 60 else 1.0,
    "color": _short,
    "availability": lambda c: max(_in_set(c, _STOCK), 0.4 if c.mean_characters < 20 else 0.0),
    "image": lambda c: max(c.share(c.images), 0.7 * c.share(c.urls)),
    "retailer": lambda c: 0.0 if c.mean_characters > 60 else 1.0 if c.uniqueness < 0.5 or c.rows < 100 else 0.3,
    "url": lambda c: max(0.0, c.share(c.urls) - 0.6 * c.share(c.images)),
}


def counts_rows(column: SampledColumn) -> bool:
    """Whether a column only numbers the records, from 0 or 1 on."""
    first = next(iter(column.distinct), "")
    numbers = map(str, range(int(first), int(first) + len(column.distinct))) if first in ("0", "1") else ()
    return column.fill == 1.0 and column.uniqueness == 1.0 and list(column.distinct) == list(numbers)


def _sentences(c: SampledColumn) -> float:
    if c.share(c.urls) >= 0.05 or c.lists:
        return 0.0
    # Below a title's 0.45: where a feed has one text alone, it is the title.
    return 0.45 if c.mean_characters > 150 else 0.43 if c.mean_characters > 80 and c.mean_words >= 10 else 0.0


# Without a telling name, only values that can hardly be anything else count.
_BY_VALUES: dict[str, Callable[[SampledColumn], float]] = {
    "id": lambda c: 0.45 if _id(c) == 1.0 and c.mean_words < 1.2 and not c.urls and not counts_rows(c) else 0.0,
    "title": lambda c: 0.45 * _title(c) if c.mean_words >= 3 and c.mean_characters <= 150 and not c.html else 0.0,
    "description": _sentences,
    "url": lambda c: 0.45 if c.share(c.urls) > 0.9 and c.share(c.images) < 0.1 else 0.0,
    "image": lambda c: 0.45 if c.share(c.images) > 0.9 else 0.0,
}

ACCEPT = 0.4


def guess_fields(columns: dict[str, SampledColumn], taken: set[str]) -> list[FieldGuess]:
    """One column per field, the surest pair first; columns in ``taken`` are left alone."""
    scored: list[tuple[float, str, str]] = []
    for name, column in columns.items():
        if name in taken or not column.filled or column.nested > column.filled / 2:
            continue
        for field, aliases in ALIASES.items():
            by_name = name_score(name, aliases)
            by_value = VALUE_SCORES[field](column) if by_name else 0.0
            score = by_name * (0.4 + 0.6 * by_value) if by_value else 0.0
            if not score and field in _BY_VALUES:
                score = _BY_VALUES[field](column)
            if score >= ACCEPT:
                # Of two equal guesses the fuller column wins, then the one further left.
                scored.append((score + 0.001 * column.fill, field, name))
    order = {name: index for index, name in enumerate(columns)}
    scored.sort(key=lambda item: (-item[0], order[item[2]]))
    guesses_by_field: dict[str, FieldGuess] = {}
    used: set[str] = set()
    for score, field, name in scored:
        if field not in guesses_by_field and name not in used:
            guesses_by_field[field] = FieldGuess(
                field, name, round(min(score, 1.0), 2), tuple(columns[name].examples()), columns[name].mean_characters
            )
            used.add(name)
    if "id" not in guesses_by_field and (substitute := _substitute_id(columns, guesses_by_field.get("url"))):
        guesses_by_field["id"] = substitute
    return [guesses_by_field[field] for field in ALIASES if field in guesses_by_field]


def _substitute_id(columns: dict[str, SampledColumn], url: FieldGuess | None) -> FieldGuess | None:
    """What tells products apart where there is no id: their pages' addresses, else the numbers of the rows."""
    if url is not None and _id(columns[url.column]) == 1.0:
        return replace(url, field="id", confidence=ACCEPT)
    name = next((name for name, column in columns.items() if counts_rows(column)), None)
    return None if name is None else FieldGuess("id", name, ACCEPT, tuple(columns[name].examples()))


_SPLITS: dict[str, Split] = {
    "train": "train", "training": "train", "eval": "eval", "evaluation": "eval", "valid": "eval", "validation": "eval",
    "val": "eval", "dev": "eval", "test": "test", "testing": "test", "holdout": "test",
}  # fmt: skip


def split_column(
    columns: dict[str, SampledColumn], taken: set[str]
) -> tuple[str, tuple[tuple[str, Split], ...]] | None:
    """The feed's own split: a column of two or three values such as train and test; None where there is none.

    Something has to be measured on: without a test value the validation products are the test ones.
    """
    for name, column in columns.items():
        values = {value: _SPLITS.get(value.casefold()) for value in list(column.distinct)[:5]}
        meant = set(values.values())
        if name in taken or column.fill < 0.9 or None in meant or "train" not in meant or len(meant) < 2:
            continue
        pairs = [(value, split) for value, split in values.items() if split is not None]
        if "test" not in meant:
            pairs = [(value, "test" if split == "eval" else split) for value, split in pairs]
        return name, tuple(sorted(pairs))
    return None
