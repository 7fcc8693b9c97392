"""The demo's brands, colours, sizes and filler words, and how each retailer writes. All of it is made up."""

from __future__ import annotations

from dataclasses import dataclass

_HEADS = ("Blor", "Quib", "Snorf", "Plimm", "Twob", "Glomp", "Frub", "Zwel", "Dribb", "Vonk", "Mubb", "Krinn", "Spluf",
          "Jorb", "Thrumm", "Nebb", "Yolp", "Chund", "Grelf", "Wibb")  # fmt: skip
_TAILS = ("azoo", "erby", "inka", "ollip", "umple", "essit", "orple", "ettik", "unst", "ilboo")
BRANDS: tuple[str, ...] = tuple(head + tail for tail in _TAILS for head in _HEADS)

MODELS = ("Alder", "Birch", "Comet", "Delta", "Ember", "Fjord", "Grove", "Harbour", "Indigo", "Juniper", "Kestrel",
          "Lagoon", "Meadow", "Nimbus", "Orchard", "Pebble", "Quartz", "Ripple", "Summit", "Thistle", "Umber", "Vista",
          "Willow", "Yonder", "Zephyr", "Amber", "Breeze", "Canyon", "Drift", "Echo", "Flint", "Glacier")  # fmt: skip
ADJECTIVES = ("classic", "modern", "new", "premium", "lightweight", "casual", "everyday", "original", "stylish",
              "compact", "essential", "comfort", "vintage", "basic", "deluxe", "sporty")  # fmt: skip
FILLERS = (
    "Free returns within 30 days.",
    "It’s a favourite with our customers – and with us.",
    "Delivered in recycled packaging.",
    "Colours may differ slightly from the picture.",
    "Crème de la crème: carefully made, built to last.",
    "Part of the new season’s range.",
    "Only while stocks last.",
    "Care: see label. Designed at our atelier – made to be used.",
)
# Name and RGB; the drawn images take the colour from here.
COLORS: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("black", (35, 35, 38)), ("white", (236, 236, 232)), ("grey", (128, 130, 134)), ("navy", (30, 45, 90)),
    ("blue", (45, 100, 200)), ("red", (200, 40, 45)), ("green", (50, 140, 70)), ("brown", (115, 75, 45)),
    ("beige", (215, 195, 160)), ("pink", (235, 140, 170)), ("yellow", (240, 205, 60)), ("orange", (235, 130, 40)),
    ("purple", (120, 65, 150)), ("crème", (245, 235, 210)), ("silver", (190, 192, 198)), ("turquoise", (50, 180, 180)),
)  # fmt: skip
SIZES: dict[str, tuple[str, ...]] = {
    "none": ("",),
    "one": ("one size", "", ""),
    "shoe": tuple(str(size) for size in range(36, 47)),
    "cloth": ("XS", "S", "M", "L", "XL", "XXL"),
    "jeans": ("W28/L30", "W30/L32", "W31/L32", "W32/L32", "W33/L34", "W34/L34", "W36/L34"),
    "cm": ("20 cm", "28 cm", "40 x 40 cm", "50 cm", "90 cm", "110 cm", "170 cm", "183 x 61 cm"),
    "volume": ("0.3 l", "0.5 l", "2 l", "5 l", "20 l", "28 l", "40 l", "65 l"),
    "storage": ("64 GB", "128 GB", "256 GB", "512 GB"),
}
# Shop-window headings that some retailers give instead of a category.
WINDOWS = ("Sale", "New In", "Gift Ideas", "Bestsellers")


@dataclass(frozen=True)
class Retailer:
    """How one retailer fills its feed. Shares are of its products.

    Attributes:
      name, host: the shop; hosts are reserved example domains.
      share: its part of all products; the shares add up to 1.
      files: its feed files; the ending says the format. With several, products go to them in turns.
      vocabulary: which names of a category its own category text uses: ``name``, ``alt`` or ``german``.
      separator, prefix, upper: how that text is put together.
      depth: how many levels it has; 0 stands for the top and the last level.
      style: a key of :data:`modules.demo.products.TITLES`.
      genders: its words for women, men and unisex.
      absent: what a missing value looks like in a JSON record: ``omit``, ``null`` or ``empty``.
      no_brand, no_description, no_category, no_gender, no_color, html, mojibake: shares.
    """

    name: str
    host: str
    share: float
    files: tuple[str, ...]
    vocabulary: str
    separator: str
    depth: int
    style: str
    currency: str
    genders: tuple[str, str, str]
    prefix: str = ""
    upper: bool = False
    absent: str = "omit"
    no_brand: float = 0.05
    no_description: float = 0.2
    no_category: float = 0.03
    no_gender: float = 0.1
    no_color: float = 0.1
    html: float = 0.02
    mojibake: float = 0.01


RETAILERS: tuple[Retailer, ...] = (
    Retailer("shelfquib", "shop-1.example", 0.22, ("shelfquib-1.jsonl.gz", "shelfquib-2.jsonl.gz"), "name", " > ", 4,
             "brand-first", "EUR", ("women", "men", "unisex"), no_description=0.1),
    Retailer("aislewump", "shop-2.example", 0.18, ("aislewump.csv.gz",), "alt", " // ", 3, "noun-first", "GBP",
             ("Women", "Men", "Unisex"), html=0.5),
    Retailer("basketzig", "shop-3.example", 0.16, ("basketzig.parquet",), "alt", "|", 2, "dashes", "EUR",
             ("women", "men", "unisex"), no_color=0.02),
    Retailer("tillplonk", "shop-4.example", 0.14, ("tillplonk.csv",), "name", "/", 0, "shouting", "USD",
             ("female", "male", "all"), upper=True, no_brand=0.4, no_description=0.35, html=0.3),
    Retailer("cratefloof", "shop-5.example", 0.12, ("cratefloof.jsonl.gz",), "name", " » ", 3, "no-brand", "EUR",
             ("W", "M", "U"), prefix="All", absent="null", no_gender=0.3, mojibake=0.3),
    Retailer("parcelnoz", "shop-6.example", 0.10, ("parcelnoz.jsonl",), "alt", " > ", 1, "everything", "USD",
             ("women", "men", ""), absent="empty", no_category=0.3, no_gender=0.4, no_description=0.4),
    Retailer("trolleymuff", "shop-7.example", 0.08, ("trolleymuff.csv.gz",), "german", " > ", 3, "brand-last", "EUR",
             ("Damen", "Herren", "Unisex"), mojibake=0.1),
)  # fmt: skip
