"""The demo's category tree, and the words its products are made of.

The tree has four levels. Exclusive categories are those with a ``weight``; a parent that is exclusive stands for the
rest of it (``Shoes > Boots``: chelsea and biker boots, but no ankle boots). Neighbours share words on purpose: every
kind of boots may just be called "boots".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

SEPARATOR = " > "


@dataclass(frozen=True)
class Category:
    """One node of the demo's tree.

    Attributes:
      path: names joined by ``" > "``.
      alt, german: what other retailers call it.
      weight: how common its own products are, relative to the others; 0 for a node that is not exclusive.
      nouns: what its products are called, the most common first; the last but one is rare.
      weak: a name shared with other categories.
      words: typical words of titles and descriptions.
      price: lowest and highest usual price.
      sizes: a key of :data:`modules.demo.words.SIZES`.
      genders: which of ``w``, ``m`` and ``u`` (unisex) it is made for; empty if that makes no sense.
      shape: a key of :data:`modules.demo.pictures.SHAPES`.
    """

    path: str
    alt: str
    german: str
    weight: float = 0.0
    nouns: tuple[str, ...] = ()
    weak: str = ""
    words: tuple[str, ...] = ()
    price: tuple[float, float] = (0.0, 0.0)
    sizes: str = "none"
    genders: str = ""
    shape: str = ""

    @property
    def exclusive(self) -> bool:
        return self.weight > 0

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self.path.split(SEPARATOR))


def _node(path: str, alt: str, german: str) -> Category:
    return Category(path, alt, german)


def _leaf(
    path: str, alt: str, german: str, weight: float, nouns: str, weak: str, words: str, price: tuple[float, float],
    sizes: str, genders: str, shape: str,
) -> Category:  # fmt: skip
    return Category(
        path, alt, german, weight, tuple(nouns.split("|")), weak, tuple(words.split()), price, sizes, genders, shape
    )


# fmt: off
CATEGORIES: tuple[Category, ...] = (
    _node("Shoes", "Footwear", "Schuhe"),
    _leaf("Shoes > Boots", "Boots", "Stiefel", 9, "chelsea boots|biker boots|cowboy boots|lace-up boots", "boots",
          "leather buckle zip pull-tab heel shaft rugged", (60, 220), "shoe", "wmu", "boot"),
    _leaf("Shoes > Boots > Ankle Boots", "Booties", "Stiefeletten", 7, "ankle boots|booties|ankle booties", "boots",
          "suede block-heel zip ankle pointed leather elastic", (50, 160), "shoe", "w", "boot"),
    _leaf("Shoes > Boots > Winter Boots", "Winter Boots", "Winterstiefel", 4,
          "winter boots|lined boots|fleece boots", "boots", "warm lined fleece waterproof winter insulated tread",
          (60, 180), "shoe", "wmu", "boot"),
    _leaf("Shoes > Boots > Winter Boots > Snow Boots", "Snow Boots", "Schneestiefel", 2,
          "snow boots|après-ski boots", "winter boots", "snow waterproof insulated drawstring moon grip", (70, 190),
          "shoe", "wmu", "boot"),
    _leaf("Shoes > Boots > Rain Boots", "Wellingtons", "Gummistiefel", 3, "rain boots|wellington boots|wellies",
          "boots", "rubber waterproof rain gumboot garden puddle", (25, 110), "shoe", "wmu", "boot"),
    _leaf("Shoes > Sneakers", "Trainers", "Turnschuhe", 12, "sneakers|low-top sneakers|trainers|court shoes",
          "shoes", "canvas rubber-sole retro lace-up casual street mesh", (40, 160), "shoe", "wmu", "sneaker"),
    _leaf("Shoes > Sneakers > High-Top Sneakers", "High Tops", "Hohe Turnschuhe", 4,
          "high-top sneakers|high tops|mid-cut sneakers", "sneakers",
          "high-cut ankle canvas padded collar street basketball", (50, 170), "shoe", "wmu", "sneaker"),
    _leaf("Shoes > Sneakers > Slip-On Sneakers", "Slip-Ons", "Slipper-Sneaker", 3,
          "slip-on sneakers|slip-ons|laceless sneakers", "sneakers", "laceless elastic slip-on easy canvas gusset",
          (30, 110), "shoe", "wmu", "sneaker"),
    _leaf("Shoes > Sandals", "Sandals", "Sandalen", 6, "sandals|strappy sandals|platform sandals|wedge sandals",
          "shoes", "strap cork footbed summer open-toe buckle", (25, 120), "shoe", "wmu", "sandal"),
    _leaf("Shoes > Sandals > Flip-Flops", "Thongs", "Zehentrenner", 3, "flip-flops|toe-post sandals|beach slides",
          "sandals", "beach pool rubber toe-post foam summer", (8, 45), "shoe", "wmu", "sandal"),
    _leaf("Shoes > High Heels", "Pumps", "Hohe Schuhe", 5, "high heels|stilettos|slingbacks|heeled pumps", "shoes",
          "stiletto pointed patent evening heel elegant", (45, 240), "shoe", "w", "heel"),
    _leaf("Shoes > Slippers", "House Shoes", "Hausschuhe", 3, "slippers|house shoes|felt slippers|clogs", "shoes",
          "felt fluffy cosy indoor soft wool", (15, 70), "shoe", "wmu", "sandal"),
    _leaf("Shoes > Loafers", "Slip-On Shoes", "Halbschuhe", 4, "loafers|moccasins|penny loafers|boat shoes", "shoes",
          "leather tassel slip-on smart suede office", (55, 190), "shoe", "wm", "loafer"),
    _leaf("Shoes > Accessories", "Shoe Care", "Schuhzubehör", 2, "shoe laces|insoles|shoe polish|shoe trees",
          "shoe care", "care wax gel brush cedar cotton", (4, 35), "none", "", "tin"),

    _node("Clothing", "Fashion", "Bekleidung"),
    _node("Clothing > Women", "Ladies", "Damen"),
    _leaf("Clothing > Women > Dresses", "Gowns & Dresses", "Kleider", 8,
          "dress|shirt dress|wrap dress|knitted dress", "dress",
          "floral sleeveless belted viscose knee-length v-neck", (30, 140), "cloth", "w", "dress"),
    _leaf("Clothing > Women > Dresses > Evening Dresses", "Evening Wear", "Abendkleider", 3,
          "evening dress|cocktail dress|ball gown|prom dress", "dress",
          "sequin satin evening lace elegant floor-length", (70, 400), "cloth", "w", "dress"),
    _leaf("Clothing > Women > Dresses > Maxi Dresses", "Maxis", "Maxikleider", 3,
          "maxi dress|boho maxi dress|long summer dress", "dress", "flowing long boho tiered summer chiffon",
          (40, 150), "cloth", "w", "dress"),
    _leaf("Clothing > Women > Skirts", "Skirts", "Röcke", 4, "skirt|pleated skirt|pencil skirt|mini skirt", "skirt",
          "pleated a-line waistband denim tulle flared", (20, 110), "cloth", "w", "skirt"),
    _leaf("Clothing > Women > Blouses", "Tops & Blouses", "Blusen", 6, "blouse|tunic|bow blouse|silk top", "shirt",
          "ruffle silk sleeve collar chiffon buttoned", (20, 120), "cloth", "w", "shirt"),
    _leaf("Clothing > Women > Jeans", "Denim", "Jeans", 5, "jeans|skinny jeans|mom jeans|jeggings", "jeans",
          "denim high-waist stretch ankle-length five-pocket washed", (35, 130), "jeans", "w", "trousers"),
    _leaf("Clothing > Women > Jackets", "Coats & Jackets", "Jacken", 5, "jacket|blazer|quilted jacket|trench coat",
          "coat", "tailored quilted zip lined hooded waist", (50, 260), "cloth", "w", "jacket"),
    _node("Clothing > Men", "Menswear", "Herren"),
    _leaf("Clothing > Men > Shirts", "Shirts", "Hemden", 7, "shirt|oxford shirt|flannel shirt|polo shirt", "shirt",
          "collar cotton button-down checked slim-fit cuffs", (20, 110), "cloth", "m", "shirt"),
    _leaf("Clothing > Men > Suits", "Tailoring", "Anzüge", 3, "suit|tuxedo|two-piece suit|waistcoat", "jacket",
          "wool tailored lapel formal wedding business", (120, 600), "cloth", "m", "jacket"),
    _leaf("Clothing > Men > Jeans", "Denim", "Jeans", 5, "jeans|straight jeans|tapered jeans|bootcut jeans", "jeans",
          "denim regular-fit five-pocket washed stretch zip-fly", (35, 140), "jeans", "m", "trousers"),
    _leaf("Clothing > Men > Jackets", "Outerwear", "Jacken", 5, "jacket|bomber jacket|parka|windbreaker", "coat",
          "zip hooded padded ribbed pockets windproof", (50, 280), "cloth", "m", "jacket"),
    _leaf("Clothing > Men > Trousers", "Pants", "Hosen", 3, "trousers|corduroy trousers|cargo pants|joggers",
          "pants", "pleat waistband corduroy pockets drawstring relaxed", (30, 130), "jeans", "m", "trousers"),
    _leaf("Clothing > Men > Trousers > Chinos", "Chinos", "Chinohosen", 3, "chinos|chino trousers|stretch chinos",
          "trousers", "cotton twill slim casual stretch flat-front", (30, 110), "jeans", "m", "trousers"),
    _leaf("Clothing > Men > Trousers > Shorts", "Shorts", "Kurze Hosen", 3, "shorts|bermuda shorts|cargo shorts",
          "pants", "knee-length summer drawstring cotton light", (18, 80), "cloth", "m", "shorts"),
    _leaf("Clothing > Accessories", "Other Accessories", "Accessoires", 3, "gloves|tie|bow tie|umbrella|suspenders",
          "accessory", "silk knitted wool gift-box clip folding", (10, 70), "one", "wmu", "glove"),
    _leaf("Clothing > Accessories > Belts", "Belts", "Gürtel", 3, "belt|leather belt|braided belt|waist belt",
          "belt", "buckle leather reversible braided width", (15, 90), "cm", "wm", "belt"),
    _leaf("Clothing > Accessories > Scarves", "Scarves & Shawls", "Schals", 3, "scarf|shawl|snood|pashmina", "wrap",
          "cashmere fringe soft knitted wool print", (15, 110), "one", "wmu", "scarf"),
    _leaf("Clothing > Accessories > Hats", "Headwear", "Hüte & Mützen", 3, "hat|beanie|baseball cap|fedora", "cap",
          "brim knitted pompom cotton visor felt", (12, 80), "one", "wmu", "hat"),

    _node("Bags", "Bags & Luggage", "Taschen"),
    _leaf("Bags > Handbags", "Ladies' Bags", "Handtaschen", 6, "handbag|tote bag|shopper|bucket bag", "bag",
          "leather handle zip-pocket roomy lining magnetic", (40, 320), "none", "w", "bag"),
    _leaf("Bags > Handbags > Clutches", "Evening Bags", "Clutches", 2,
          "clutch|clutch bag|evening bag|envelope purse", "purse", "satin chain-strap evening sequin snap small",
          (20, 150), "none", "w", "wallet"),
    _leaf("Bags > Handbags > Shoulder Bags", "Cross-Body Bags", "Umhängetaschen", 4,
          "shoulder bag|cross-body bag|messenger bag|hobo bag", "bag",
          "adjustable strap flap leather compartments everyday", (35, 260), "none", "wu", "bag"),
    _leaf("Bags > Backpacks", "Rucksacks", "Rucksäcke", 5, "backpack|rucksack|daypack|school bag", "bag",
          "laptop padded compartment litres straps water-repellent", (25, 180), "volume", "u", "backpack"),
    _node("Bags > Luggage", "Travel", "Reisegepäck"),
    _leaf("Bags > Luggage > Suitcases", "Trolleys", "Koffer", 3,
          "suitcase|trolley case|cabin case|hard-shell suitcase", "case",
          "wheels hard-shell spinner lock cabin telescopic", (50, 320), "volume", "", "suitcase"),
    _leaf("Bags > Luggage > Travel Bags", "Holdalls", "Reisetaschen", 2, "travel bag|holdall|weekender|duffel bag",
          "bag", "weekend canvas spacious detachable carry-on overnight", (35, 210), "volume", "u", "bag"),
    _leaf("Bags > Wallets", "Small Leather Goods", "Geldbörsen", 4, "wallet|card holder|coin purse|money clip",
          "purse", "leather card slots rfid coin fold", (15, 110), "none", "wm", "wallet"),

    _node("Sports", "Sport & Outdoor", "Sport"),
    _node("Sports > Football", "Soccer", "Fußball"),
    _leaf("Sports > Football > Boots", "Cleats", "Fußballschuhe", 3,
          "football boots|soccer cleats|firm ground boots", "boots", "studs pitch turf grip striker laces",
          (40, 230), "shoe", "mu", "sneaker"),
    _leaf("Sports > Football > Balls", "Balls", "Bälle", 2, "football|match ball|training ball|futsal ball", "ball",
          "panels bladder stitched training inflatable match", (10, 110), "none", "", "ball"),
    _node("Sports > Winter Sports", "Snow", "Wintersport"),
    _node("Sports > Winter Sports > Ski", "Skiing", "Ski"),
    _leaf("Sports > Winter Sports > Ski > Boots", "Ski Boots", "Skischuhe", 2,
          "ski boots|alpine boots|touring boots", "boots", "flex buckle shell liner alpine piste", (150, 520),
          "shoe", "wm", "boot"),
    _leaf("Sports > Winter Sports > Ski > Skis", "Skis", "Skier", 2,
          "skis|carving skis|freeride skis|cross-country skis", "ski set",
          "rocker sidecut binding edge piste powder", (180, 850), "cm", "wmu", "skis"),
    _leaf("Sports > Winter Sports > Ski > Goggles", "Goggles", "Skibrillen", 2, "ski goggles|snow goggles|goggles",
          "glasses", "lens anti-fog uv visor magnetic helmet-compatible", (35, 230), "one", "u", "goggles"),
    _node("Sports > Cycling", "Bikes", "Radsport"),
    _leaf("Sports > Cycling > Helmets", "Bike Helmets", "Fahrradhelme", 2, "bike helmet|cycling helmet|road helmet",
          "helmet", "vents visor dial shell impact lightweight", (30, 230), "cloth", "u", "helmet"),
    _leaf("Sports > Cycling > Accessories", "Bike Parts", "Fahrradzubehör", 3,
          "bike lock|bike lamp|bottle cage|floor pump|bike bag", "holder",
          "handlebar mount saddle frame bracket rechargeable", (8, 110), "none", "", "wheel"),
    _node("Sports > Running", "Running", "Laufen"),
    _leaf("Sports > Running > Shoes", "Running Shoes", "Laufschuhe", 6,
          "running shoes|trail running shoes|road runners|jogging shoes", "shoes",
          "cushioning breathable mesh midsole stride marathon", (60, 200), "shoe", "wm", "sneaker"),
    _node("Sports > Fitness", "Gym", "Fitness"),
    _leaf("Sports > Fitness > Weights", "Weights", "Gewichte", 3, "dumbbell|kettlebell|barbell|weight plate",
          "weight set", "cast-iron grip kg rubber gym training", (10, 190), "none", "", "dumbbell"),
    _leaf("Sports > Fitness > Yoga > Yoga Mats", "Exercise Mats", "Yogamatten", 2,
          "yoga mat|pilates mat|exercise mat", "mat", "non-slip thick cork carry-strap natural-rubber pose",
          (15, 110), "cm", "", "mat"),
    _node("Sports > Fitness > Yoga", "Yoga & Pilates", "Yoga"),

    _node("Electronics", "Tech", "Elektronik"),
    _node("Electronics > Phones", "Mobile", "Telefone"),
    _leaf("Electronics > Phones > Smartphones", "Mobile Phones", "Smartphones", 6,
          "smartphone|mobile phone|5G phone|dual-SIM phone", "phone",
          "oled megapixel dual-sim battery unlocked display", (120, 1200), "storage", "", "phone"),
    _leaf("Electronics > Phones > Accessories", "Phone Add-ons", "Handyzubehör", 3,
          "phone charger|charging cable|power bank|phone holder", "holder",
          "usb-c fast-charging mah magnetic braided dashboard", (8, 70), "none", "", "plug"),
    _leaf("Electronics > Phones > Accessories > Cases", "Phone Covers", "Handyhüllen", 5,
          "phone case|phone cover|flip case|bumper case", "case",
          "silicone shockproof transparent slim wireless-charging bumper", (8, 50), "none", "", "phone"),
    _node("Electronics > Audio", "Sound", "Audio"),
    _leaf("Electronics > Audio > Headphones", "Headsets", "Kopfhörer", 5,
          "headphones|earbuds|in-ear headphones|headset", "headset",
          "noise-cancelling bluetooth microphone wireless over-ear bass", (20, 380), "none", "", "headphones"),
    _leaf("Electronics > Audio > Speakers", "Loudspeakers", "Lautsprecher", 3,
          "speaker|bluetooth speaker|soundbar|subwoofer", "sound box",
          "bluetooth watts bass stereo wireless splash-proof", (25, 480), "none", "", "speaker"),
    _leaf("Electronics > Cameras", "Photo", "Kameras", 3, "camera|system camera|action camera|instant camera", "cam",
          "megapixel lens zoom sensor 4k stabiliser", (80, 1500), "none", "", "camera"),
    _leaf("Electronics > Watches", "Wearables", "Uhren", 5, "watch|smartwatch|chronograph|fitness tracker", "watch",
          "quartz dial steel strap water-resistant heart-rate", (40, 600), "none", "wmu", "watch"),

    _node("Home", "Home & Living", "Wohnen"),
    _node("Home > Kitchen", "Cooking", "Küche"),
    _leaf("Home > Kitchen > Cookware", "Pots", "Kochgeschirr", 3, "cooking pot|stockpot|casserole|pressure cooker",
          "cookware", "stainless lid induction litres enamel handle", (20, 230), "volume", "", "pan"),
    _leaf("Home > Kitchen > Cookware > Pans", "Frying Pans", "Pfannen", 3, "frying pan|wok|grill pan|sauté pan",
          "pan", "non-stick induction ceramic cast-iron coating handle", (18, 150), "cm", "", "pan"),
    _leaf("Home > Kitchen > Mugs", "Drinkware", "Tassen", 3, "mug|coffee cup|tea cup|espresso cup", "cup",
          "porcelain dishwasher-safe ceramic handle glaze saucer", (5, 40), "volume", "", "mug"),
    _node("Home > Lighting", "Lights", "Leuchten"),
    _leaf("Home > Lighting > Lamps", "Lamps", "Lampen", 4, "table lamp|floor lamp|pendant lamp|desk lamp", "lamp",
          "led dimmable shade socket e27 warm-white", (20, 280), "cm", "", "lamp"),
    _node("Home > Textiles", "Soft Furnishings", "Heimtextilien"),
    _leaf("Home > Textiles > Cushions", "Pillows", "Kissen", 3, "cushion|throw pillow|pillow case|seat cushion",
          "pillow", "velvet zip filling sofa square cotton", (8, 70), "cm", "", "cushion"),
    _leaf("Home > Textiles > Towels", "Bath", "Handtücher", 3, "towel|bath towel|hand towel|bath mat", "bath linen",
          "terry cotton absorbent gsm hanging-loop soft", (6, 60), "cm", "", "mat"),
    _node("Home > Furniture", "Furniture", "Möbel"),
    _leaf("Home > Furniture > Chairs", "Seating", "Stühle", 3, "chair|dining chair|armchair|office chair", "seat",
          "oak upholstered swivel armrest legs velvet", (45, 480), "none", "", "chair"),
)
# fmt: on

EXCLUSIVE: tuple[Category, ...] = tuple(category for category in CATEGORIES if category.exclusive)
BY_PATH: dict[str, Category] = {category.path: category for category in CATEGORIES}


def ancestors(category: Category) -> tuple[Category, ...]:
    """``category`` and its ancestors, the top level first."""
    names = category.names
    return tuple(BY_PATH[SEPARATOR.join(names[: depth + 1])] for depth in range(len(names)))


def identifier(path: str) -> str:
    """A readable id of a category: ``shoes-boots`` for ``Shoes > Boots``."""
    words = "".join(c if c.isalnum() else " " for c in path.lower()).split()
    return "-".join(words)


def taxonomy_yaml() -> str:
    """The text of ``taxonomy.yaml``: parents stand before their children."""
    lines = ["# The demo catalogue's categories. A parent that is exclusive stands for the rest of it.", "categories:"]
    for category in sorted(CATEGORIES, key=lambda c: c.names):
        lines.append(f"  - path: {category.path}")
        lines.append(f"    id: {identifier(category.path)}")
        if len(category.names) > 2:  # A name such as "Boots" says little where it stands alone.
            lines.append(f"    name: {display_name(category)}")
        if category.exclusive:
            lines.append("    exclusive: true")
    return "\n".join(lines) + "\n"


def display_name(category: Category) -> str:
    """The name with its parent's where the name alone stands under several parents: ``Boots (Football)``."""
    name = category.names[-1]
    twins = [other for other in CATEGORIES if other.names[-1] == name]
    return f"{name} ({category.names[-2]})" if len(twins) > 1 and len(category.names) > 1 else name
