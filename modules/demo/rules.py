"""The demo's hand-written rules: they reach about two thirds of the products, and are wrong now and then.

They look like what a category manager writes: mostly one word of the title, exceptions where a mistake was noticed, the
retailer's own category where it was trusted. What nobody thought of (rare names, misspellings, retailers that write
German) they miss.
"""

from __future__ import annotations

RULES_YAML = r"""# Rules put products into categories by the words of their fields. Several may fire on one product.
rules:
  # Shoes
  - id: boots-title
    category: Shoes > Boots
    when:
      all:
        - {field: title, word: boots}
        - not:
            any:
              - {field: title, phrase: football boots}
              - {field: title, phrase: ski boots}
              - {field: title, phrase: firm ground boots}
              - {field: title, phrase: alpine boots}
              - {field: title, phrase: touring boots}
              - {field: raw_category, word: sports}
  - id: ankle-boots-title
    category: Shoes > Boots > Ankle Boots
    when: {any: [{field: title, phrase: ankle boots}, {field: title, word: booties}]}
  - id: snow-boots-title
    category: Shoes > Boots > Winter Boots > Snow Boots
    when: {field: title, phrase: snow boots}
  - id: winter-boots-title
    category: Shoes > Boots > Winter Boots
    when: {field: title, regex: '(?i)(winter|lined|fleece) boots'}
  - id: rain-boots-title
    category: Shoes > Boots > Rain Boots
    when: {field: title, regex: '(?i)\b(rain|wellington) boots\b'}
  # Running shoes came to the shop later; the rule was not looked at again.
  - id: shoes-title
    category: Shoes
    when: {field: title, word: shoes}
  - id: sneakers-title
    category: Shoes > Sneakers
    when: {field: title, word: sneakers}
  - id: trainers-category
    category: Shoes > Sneakers
    when:
      all:
        - {field: raw_category, equals: Footwear|Trainers}
        - not: {field: title, word: high}
  - id: high-tops-title
    category: Shoes > Sneakers > High-Top Sneakers
    when: {any: [{field: title, phrase: high top sneakers}, {field: title, phrase: high tops}]}
  - id: sandals-title
    category: Shoes > Sandals
    when: {any: [{field: title, word: sandals}, {field: title, phrase: flip flops}]}
  - id: heels-title
    category: Shoes > High Heels
    when: {any: [{field: title, phrase: high heels}, {field: title, word: stilettos}]}
  - id: shoe-care-title
    category: Shoes > Accessories
    when: {field: title, word: shoe}

  # Clothing
  - id: dress-title
    category: Clothing > Women > Dresses
    when: {any: [{field: title, word: dress}, {field: title, word: gown}]}
  - id: maxi-title
    category: Clothing > Women > Dresses > Maxi Dresses
    when: {field: title, phrase: maxi dress}
  - id: skirt-title
    category: Clothing > Women > Skirts
    when: {field: title, word: skirt}
  - id: blouse-title
    category: Clothing > Women > Blouses
    when: {any: [{field: title, word: blouse}, {field: title, word: tunic}]}
  - id: jeans-women
    category: Clothing > Women > Jeans
    when:
      all:
        - {field: title, word: jeans}
        - any:
            - {field: gender, equals: women}
            - {field: gender, equals: female}
            - {field: title, phrase: skinny jeans}
            - {field: title, phrase: mom jeans}
  - id: jeans-men
    category: Clothing > Men > Jeans
    when:
      all:
        - {field: title, word: jeans}
        - any: [{field: gender, equals: men}, {field: gender, equals: male}, {field: raw_category, word: menswear}]
  - id: jackets-women
    category: Clothing > Women > Jackets
    when: {any: [{field: title, word: blazer}, {field: title, phrase: quilted jacket}]}
  # Suit jackets land here too, and some of the women's.
  - id: jackets-men
    category: Clothing > Men > Jackets
    when:
      all:
        - {field: title, regex: '(?i)\b(jacket|parka)\b'}
        - not: {any: [{field: gender, equals: women}, {field: gender, equals: female}, {field: title, word: quilted}]}
  # "Shirt dress" and the blouses that are called shirts are wrong here.
  - id: shirt-title
    category: Clothing > Men > Shirts
    when: {field: title, word: shirt}
  - id: scarf-title
    category: Clothing > Accessories > Scarves
    when: {any: [{field: title, word: scarf}, {field: title, word: shawl}]}
  - id: belt-title
    category: Clothing > Accessories > Belts
    when: {field: title, word: belt}

  # Bags
  - id: handbags-title
    category: Bags > Handbags
    when:
      any:
        - {field: title, word: handbag}
        - {field: title, phrase: tote bag}
        - {field: title, phrase: shoulder bag}
        - {field: title, word: clutch}
  - id: bags-title
    category: Bags
    when: {all: [{field: title, word: bag}, {not: {field: title, phrase: bike bag}}]}
  - id: suitcase-title
    category: Bags > Luggage > Suitcases
    when: {any: [{field: title, word: suitcase}, {field: title, phrase: trolley case}]}
  # Purses are clutches as often as wallets.
  - id: wallet-title
    category: Bags > Wallets
    when: {any: [{field: title, word: wallet}, {field: title, word: purse}, {field: title, phrase: card holder}]}

  # Sports
  - id: football-title
    category: Sports > Football
    when: {any: [{field: title, word: football}, {field: title, word: soccer}]}
  - id: ski-title
    category: Sports > Winter Sports > Ski
    when: {any: [{field: title, word: ski}, {field: title, word: skis}]}
  - id: helmet-title
    category: Sports > Cycling > Helmets
    when: {field: title, word: helmet}
  - id: bike-title
    category: Sports > Cycling
    when: {field: title, regex: '(?i)^.*\bbike\b'}
  - id: running-title
    category: Sports > Running > Shoes
    when: {field: title, phrase: running shoes}
  # Bath mats were overlooked.
  - id: mat-title
    category: Sports > Fitness > Yoga > Yoga Mats
    when: {field: title, word: mat}

  # Electronics
  - id: smartphone-title
    category: Electronics > Phones > Smartphones
    when: {any: [{field: title, word: smartphone}, {field: title, phrase: mobile phone}]}
  - id: phones-title
    category: Electronics > Phones
    when: {field: title, word: phone}
  # A brand that sells little else.
  - id: headphones-brand
    category: Electronics > Audio > Headphones
    when:
      all:
        - {field: brand, equals: HEADPHONES_BRAND}
        - {field: raw_category, regex: '(?i)audio|sound|headphones|headsets'}
  - id: speaker-title
    category: Electronics > Audio > Speakers
    when: {field: title, word: speaker}
  - id: camera-title
    category: Electronics > Cameras
    when: {field: title, word: camera}

  # Home
  - id: pans-title
    category: Home > Kitchen > Cookware > Pans
    when: {any: [{field: title, word: pan}, {field: title, word: wok}]}
  - id: kitchen-category
    category: Home > Kitchen
    when: {any: [{field: raw_category, word: kitchen}, {field: raw_category, word: cooking}]}
  # So are bike lamps.
  - id: lamp-title
    category: Home > Lighting > Lamps
    when: {field: title, word: lamp}
  - id: towel-title
    category: Home > Textiles > Towels
    when: {field: title, word: towel}
  - id: chair-title
    category: Home > Furniture > Chairs
    when: {any: [{field: title, word: chair}, {field: title, word: armchair}]}
"""


def rules_yaml() -> str:
    """The text of ``rules.yaml``."""
    from modules.demo.categories import EXCLUSIVE
    from modules.demo.products import CATEGORY_BRANDS

    headphones = [category.path for category in EXCLUSIVE].index("Electronics > Audio > Headphones")
    return RULES_YAML.replace("HEADPHONES_BRAND", CATEGORY_BRANDS[headphones][0])


def rule_count() -> int:
    return RULES_YAML.count("\n  - id: ")
