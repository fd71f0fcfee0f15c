"""Tell which encoding a short text is most likely written in.

Theory of operation. A detector that counts needs many letters. A line such as ``25 °C`` or ``José, Málaga`` has one or
two above ASCII, and nearly every encoding gives them some meaning. So each encoding is asked how probable the text
would be if it were the right one (naive Bayes). The probability of each character is given in bits: a frequent letter
of the language costs few, a rare sign more. Most expensive is what people do not write: a capital within a word, a
single ideograph between small Latin letters, two alphabets in one word, a word without a vowel. ASCII costs nearly the
same everywhere, and a little more where a language has many other letters. So an encoding that takes an ASCII letter
for the second half of a character must pay for both. The smallest sum wins.

The letters stand in groups, in the order of their frequency: half as frequent is one bit more. The groups follow the
tables in Wikipedia's "Letter frequency", and the frequent ideographs and syllables those of newspapers. All numbers are
rounded, since only great differences count.
"""

import re
from collections.abc import Iterator
from functools import cache
from math import log2
from typing import NamedTuple
from unicodedata import category

_ASCII = 5.0  # bits of a character: in ordinary text, it is between four and five
_MARK = 9.0  # of a sign that texts of all languages have
_MARK_IN_PLACE = 4.5  # of one where it belongs: an apostrophe within a word, a currency beside its number
_NO_LETTER = 15.0  # of what texts hardly ever have
_BAD = 30.0  # more for bytes without a meaning: a long text may have a few, or be cut within a character
_CAPITAL = 1.5  # more for a capital
_NEXT_CAPITAL = 0.5  # more for one behind another
_INNER_CAPITAL = 8.0  # more for one behind a small letter
_FOREIGN = 10.0  # more beside a letter of another alphabet
_SINGLE_SIGN = 5.0  # more for a single ideograph
_ANOTHER = 2.0  # more for an accented letter behind another one
_NO_WORD = 6.0  # more for letters without a vowel or behind a number, and for one alone that is no vowel
_MOST, _MOST_OF_OTHERS = 12.0, 7.0  # of a byte above ASCII, in plausible text with and without Latin letters
_OPINION = 4.0  # fewer for the encoding that another detector finds
_ONE_LETTER = 4.0  # more for a word of one letter
_AMONG_OTHERS = 0.25  # more for an ASCII character in a text of other letters
_FINAL = 2.0  # fewer for the form of a letter that ends a word
_RARER = 0.2  # more for each language before it in the list

_MARKS = frozenset("§°€£–—„“”‘’…«»·²³µ®©™±×•½¼¾¿¡ªº\xa0№")
_IN_PLACE = re.compile(
    r"(?<=[^\W\d_])’(?=[^\W\d_])|(?<![^\s(])[“‘„«¿¡](?=\w)|(?<=[\w.,!?])[”’»…](?!\w)|(?<!\S)[–—•·](?=\s)|(?<=\d)[–—](?=\d)"
    r"|(?<=\d)[ \xa0]?[°€£±×º½¼¾]|(?<!\w)[€£§©±№](?=[ \xa0]?\d)|(?<=m)[²³](?!\w)|(?<=[a-zA-Z])[™®](?!\w)"
    r"|(?<!\w)µ(?=[a-zA-Z])|(?<=l)·(?=l)|°(?=[CF])|(?<=\d)\xa0(?=\d)"
)
_BETWEEN_WORDS = frozenset("–—…’‘")  # without a space; other signs are not between letters
_EAST_MARKS = frozenset("、。，．：；！？（）「」『』【】《》“”‘’—…・％￥～〜々ー　")


class _Script(NamedTuple):
    """Letters of one kind.

    Args:
        first: bits of the letters of the first group.
        step: more bits for each further group.
        vowels: what a word has at least one of, or is. Empty where vowels are not written.
        languages: the small letters above ASCII of each, beginning with the languages of most texts.
    """

    first: float
    step: float
    vowels: str
    languages: tuple[str, ...]


_WEST = _Script(
    6.0, 1.4, "",
    ("ü äö ß", "é àèê çùûâîôœ ëïæ", "óí áé ñ ú ü", "ãç áéêó âíõ ôúà", "èà òùéì", "åäö é", "åøæ é", "é ë ïóü è",
     "ðáí þóéöæú ý", "éà óíèò ç úïü"),
)  # fmt: skip
_CENTRE = _Script(
    6.0, 1.4, "",
    ("łęóą żść ń ź", "íáěé ýšžč řů ú ňďťó", "éá óöőü íű ú", "ăî şţ â", "áíčýéúž šťľ ôň äď óĺŕ", "čš žćđ"),
)  # fmt: skip
_TURKISH = _Script(6.0, 1.4, "", ("ıüş çğö İ âî",))
_BALTIC = _Script(6.0, 1.4, "", ("ėšų žįąū čę", "āīē š ņļūž čģķ", "äõü ö šž"))
_CYRILLIC = _Script(
    3.4, 1.0, "аеиоуыэюяёіїєјвкс",
    ("оеаин тсрвлкмдпу яыьгзбчй хжшю цщэф ъё", "оаинів ерстлкумдпз яьбгйчхє їжшю цщф ґ",
     "аиеонт рсвлкдмпуг збчъ жяхйц шщюфь", "аиоен ртсјкдум впљгз бчшцњћ жђхф џ"),
)  # fmt: skip
_GREEK = _Script(3.4, 1.0, "αεηιουωάέήίόύώ", ("αοιετσ νηυρπκμλςό ίάέωγδή θφχύβώ ξζψϊϋ",))
_HEBREW = _Script(3.4, 1.0, "", ("יוהלא מרתשבנ דעקםח ןפכסגט צזךףץ",))
_ARABIC = _Script(3.4, 1.0, "", ("الين مورتبهسعدة كفقحجط صشخذضزغثءأ إآىئؤ،؟ ظپچژگ",))
_THAI = _Script(3.8, 0.9, "", ("านรอก่เงวมย้ลส ต์ทัีิบ็ดปคิหขุไูชจพแ ใโผถะซึืำธณภศ ๆฐษฉฟญ",))

_SINGLE = {  # with the bits that tell how rare it is
    "cp1252": (0, _WEST), "cp1250": (2, _CENTRE), "cp1251": (1.5, _CYRILLIC), "cp1253": (3, _GREEK),
    "cp1254": (3, _TURKISH), "cp1255": (2.5, _HEBREW), "cp1256": (3, _ARABIC), "cp1257": (4.5, _BALTIC),
    "cp874": (3, _THAI), "koi8_r": (5, _CYRILLIC), "cp866": (5, _CYRILLIC), "iso8859_2": (6, _CENTRE),
    "mac_roman": (7, _WEST), "cp850": (7, _WEST), "cp437": (7.5, _WEST), "cp852": (7.5, _CENTRE),
    "iso8859_5": (8, _CYRILLIC), "mac_cyrillic": (8, _CYRILLIC), "cp737": (9, _GREEK), "cp862": (9, _HEBREW),
    "iso8859_6": (8, _ARABIC), "iso8859_7": (8, _GREEK), "koi8_u": (6, _CYRILLIC), "mac_latin2": (9, _CENTRE),
}  # fmt: skip
_FINALS = frozenset("ךםןףץ")
_OTHER_LETTERS = frozenset({_CYRILLIC, _GREEK, _HEBREW, _ARABIC, _THAI})

_HANZI = (  # half of all text, in both ways of writing
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家"
    "种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十"
    "民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯"
    "月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活更别打女变"
    "四总何电数安少报才结反受目太量再感建务做接必场件计管期市直资命山金指许统区保至队形社便空决治展马科司五基眼书非则"
    "听白界达光放强即像难且权思王完设式色路记南品住告类求据程北边张该交规万取望觉术领共确传师观清今切院让识带导争运谢"
    "请测试价格钱京台湾议录票姓城這個們來為國說時會對過發後裡種經麼學現當沒動還進樣開從實軍無與長機關點業將兩間問戰頭"
    "體見產話門東聲員論處義條氣題變總電數報結務場計資許統區隊決馬書則聽達強難權設記類據邊張該規萬覺術領確傳師觀請讓識"
    "帶導爭運謝測試價錢臺灣議錄错误錯誤件檔案章替换換"
)
_KANJI = (  # of newspapers
    "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入"
    "選立開手米力学問高代明実円関決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治度務強"
    "気小七成期公野協取都和統以機平総加山思家話世受区領多県続進正安設保改数記院女初北午指権心界支第産結百派点教報済書"
    "府活原先共得解名交資予川向際査勝面委告軍文反元重近千考判認画海参売利組知案道信策集在件団別物側任引使求所次水半品"
    "昨論計死官増係感特情投示変打男基私各始島直両朝革価式確村提運終挙果西勢減台広容必応演電歳住争談能無再位置企真流格"
    "有口過局少放税検町常校料状工建語営空職証土与急止送供可役構木割聞身費付施切由説転食比難防補車夫研収断井何南石足違"
    "消境神番規術護展態導備宅害配副算視条独警究育席輸訪楽起万着乗店述残想線率病農州武声質念待試族象銀域助労例衛然早張"
    "映限親額監環験追審商葉義伝働形景落担好退準賞訴造英被株頭技低毎医復仕去姿味負失移差個門写評課末守若極種美影命含福"
    "蔵量望松非核観察整段横型白深字答夜製票況音申様財港識注呼渉達請鈴佐藤"
)
_HANGUL = (  # syllables
    "이다는의에을가고하지한로은를도사서기자어나시그인리대아일으정해라만부수보게있제전들주장여과면구상습니세요안소조공"
    "스원적무성했오용국경었문관우계동방내신연비위선발미모년행생명화유트중분교진개와회학치감거말할저체실월녕울록름테"
    "러되된될됩않없음당력입단때및본호터버드파형식결품통금남노디강불편님김박최물특업영예작점차처추출타태토표필함합현환활후령르바"
    "반받배법번변별복북살새색석설센손순술승심씨약양언역열외운워임잘못재접좋직질찾책초축카코크키투판평포프피항향험협확획효희히값줄"
)


class _East(NamedTuple):
    """Characters of two bytes.

    Args:
        prior: bits that tell how rare the encoding is.
        leads: the first bytes of the characters in use.
        lowest: the second byte of nearly all characters in use is not below this one.
        often: the most frequent characters.
    """

    prior: float
    leads: range
    lowest: int
    often: str


_DOUBLE = {
    "gb18030": _East(1.5, range(0xB0, 0xD8), 0xA1, _HANZI),
    "big5hkscs": _East(2.5, range(0xA4, 0xC7), 0x40, _HANZI),
    "cp932": _East(1.5, range(0x88, 0x98), 0x40, _KANJI),
    "euc_jp": _East(5, range(0xB0, 0xD0), 0xA1, _KANJI),
    "cp949": _East(1.5, range(0xB0, 0xC9), 0xA1, _HANGUL),
}


def likeliest(data: bytes, found: str = "") -> tuple[str, float, bool]:
    """Return an encoding, how sure that is, and whether the text is plausible at all.

    The number tells by how many bits it beats all those in which the text would be another one.

    Args:
        data: the text, or its parts around the bytes above ASCII.
        found: what another detector says, which counts for some bits.
    """
    texts = {codec: data.decode(codec, "replace") for codec in (*_SINGLE, *_DOUBLE)}
    sums = {codec: _bits(text, codec) - _OPINION * (codec == found) for codec, text in texts.items()}
    codec = min(sums, key=lambda codec: sums[codec])
    shown, high = texts[codec], sum(byte > 0x7F for byte in data)
    codec = next(other for other, text in texts.items() if text == shown)  # the most common of those
    others = [sums[other] for other, text in texts.items() if text != shown]
    script = _SINGLE[codec][1] if codec in _SINGLE else None
    most = _MOST if script and script not in _OTHER_LETTERS else _MOST_OF_OTHERS
    ascii_bits = _ASCII + max((_ascii_more(script, language) for language in script.languages) if script else [0.0])
    plausible = sums[codec] - ascii_bits * (len(data) - high) <= most * high
    return codec, min(others, default=float("inf")) - min(sums.values()), plausible


def _bits(text: str, codec: str) -> float:
    bad = _BAD * text.count("\ufffd")
    if codec in _DOUBLE:
        return bad + _DOUBLE[codec].prior + sum(_east_bits(text, codec))
    prior, script = _SINGLE[codec]
    sums = (sum(_letter_bits(text, script, language)) for language in script.languages)
    return bad + prior + min(bits + _RARER * number for number, bits in enumerate(sums))


@cache
def _costs(script: _Script, language: str) -> dict[str, float]:
    groups = enumerate(language.split())
    small = {letter: script.first + script.step * number for number, group in groups for letter in group}
    return {letter.upper(): bits for letter, bits in small.items() if len(letter.upper()) == 1} | small


@cache
def _ascii_more(script: _Script, language: str) -> float:
    """Return what each ASCII character costs more, since the language could have had another letter there."""
    if script in _OTHER_LETTERS:
        return _AMONG_OTHERS
    return -log2(1 - sum(2**-bits for letter, bits in _costs(script, language).items() if letter.islower()))


def _letter_bits(text: str, script: _Script, language: str) -> Iterator[float]:
    costs, before, word = _costs(script, language), " ", False
    ascii_bits = _ASCII + _ascii_more(script, language)
    placed = {match.end() - 1 for match in _IN_PLACE.finditer(text)}
    for at, (letter, behind) in enumerate(zip(text, f"{text[1:]} ", strict=True)):
        bits = costs.get(letter)
        if bits is None:
            within = letter not in _BETWEEN_WORDS and before.isalpha() and behind.isalpha()
            sign = _MARK if letter in _MARKS and not within else _NO_LETTER
            yield ascii_bits if letter < "\x80" else _MARK_IN_PLACE if at in placed else sign
            before = letter
            continue
        if letter.isupper():
            bits += _INNER_CAPITAL if before.islower() else _NEXT_CAPITAL if before.isupper() else _CAPITAL
        if script not in _OTHER_LETTERS:
            bits += _ANOTHER * (before in costs)
        else:
            bits += _FOREIGN * (_is_latin(before) + _is_latin(behind))
            word = (before in costs and (word or not script.vowels)) or letter.lower() in script.vowels
            if letter in _FINALS:
                bits += _NO_WORD if behind in costs else -_FINAL
            if (behind not in costs and not word) or before.isdigit() or _begins_badly(letter, before):
                bits += _NO_WORD
            elif before not in costs and behind not in costs:
                bits += _ONE_LETTER
        yield bits
        before = letter


def _begins_badly(letter: str, before: str) -> bool:
    """Tell whether a word begins with a sign that stands above or below a letter, as in Thai."""
    return category(letter) == "Mn" and not before.isalpha() and category(before) != "Mn"


def _east_bits(text: str, codec: str) -> Iterator[float]:
    east, before = _DOUBLE[codec], " "
    for letter, behind in zip(text, f"{text[1:]} ", strict=True):
        if letter < "\x80":
            yield _ASCII
        elif letter in _EAST_MARKS:
            yield _MARK
        elif "\uff66" <= letter <= "\uff9f":  # katakana of half the width, one byte each
            yield _MARK if "\uff66" <= before <= "\uff9f" else _NO_LETTER
        else:
            bits = _ideograph_bits(letter, codec, east)
            bits += _FOREIGN * sum(_is_latin(beside) and beside.islower() for beside in (before, behind))
            yield bits + _SINGLE_SIGN * (before < "\x80" and behind < "\x80")
        before = letter


def _ideograph_bits(letter: str, codec: str, east: _East) -> float:
    if "\u3041" <= letter <= "\u30fa":
        return 6.5 if east.often is _KANJI else _NO_LETTER
    if letter in east.often:
        return 8.0
    code = letter.encode(codec, "replace")  # an accent that comes with its letter has none
    if len(code) == 2 and code[0] in east.leads and code[1] >= east.lowest:
        return 12.0
    return _NO_LETTER * len(code) / 2


def _is_latin(letter: str) -> bool:
    return letter < "\x80" and letter.isalpha()
