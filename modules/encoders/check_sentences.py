"""Texts whose vectors show that an encoder's weights, pieces and pooling are what they should be.

Written for this purpose: titles as shops write them, and what a tokenizer can get wrong.
"""

from __future__ import annotations

SENTENCES = (
    "Women's running shoes, size 38, navy blue",
    "Stainless steel saucepan with glass lid 18 cm 2.1 l",
    "Crème brûlée dishes, porcelain, set of 4",
    "Straßenschuhe für Herren, Größe 43, schwarz",
    "ŁÓDŹ ceramic mug – 350 ml",
    "ミニ四駆 レーサー キット 1/32",
    "不锈钢保温杯 500毫升",
    "",
    "USB-C to HDMI adapter (4K@60Hz) / 3-in-1 hub",
    "1234567890 0042 3.14159 1,000,000",
    "12x AA 1.5V LR6 alkaline batteries",
    "Σκούπα ηλεκτρική 700W ΟΙΚΟΣ",
    "чайник электрический 1,7 л, нержавеющая сталь",
    "naïve café – déjà vu… “quoted” \u2018title\u2019 №5 ™",
    "supercalifragilisticexpialidociousantidisestablishmentarianism bag",
    "Cotton\u200bbed\u00adsheet\tset\u00a0king size",
    "🎁 gift box 🥰 for her",
    "a",
    "Organic basmati rice in a resealable bag, gluten free, vegan, harvested by hand, 5 kg",
    "Cordless drill driver with two lithium batteries of 2 Ah, a charger and a case. The keyless chuck takes bits from "
    "1 to 13 mm; twenty-one torque steps and two gears suit wood, metal and masonry. A lamp lights the workpiece, the "
    "handle is rubber, and a brake stops the spindle at once. The battery shows its charge by four lights and is full "
    "after an hour. It fits all tools of the same series: the jigsaw, the sander, the saw and the hedge trimmer. Three "
    "years of guarantee, five once the tool is registered. Scope of delivery: drill driver, two batteries, charger, "
    "case, belt clip, six bits, a manual in nine languages.",
)
