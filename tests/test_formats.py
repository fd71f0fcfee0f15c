"""Each format by its structure: the smallest bytes that are it, what is beside it, and where that is written."""

import struct
import zipfile

import pytest
from media_kit import (
    ADTS,
    FLAC,
    MP3,
    OCTETS,
    ODF,
    OPC,
    PAD,
    PLAIN,
    box,
    declared,
    flac_frames,
    id3,
    movie,
    ole,
    opc,
    package,
    seen,
    tiff,
    zipped,
)

from staging._claims.media import HEAD_BYTES, OBSERVABLE, wants_tail

WORD, EXCEL, POWER = (f"application/vnd.ms-{program}." for program in ("word", "excel", "powerpoint"))
COVER = 6000  # a picture in a tag reaches beyond the head


def jp2(brand):
    """The signature box and the file type box of ISO 15444-1, annex I."""
    return b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftyp" + brand + bytes(4) + brand + PAD


def codestream(*, high_throughput):
    """SIZ, and CAP if part 15 is asked for (ISO 15444-15, annex A)."""
    size = b"\xff\x51\0\x29" + bytes(39)
    return b"\xff\x4f" + size + (b"\xff\x50\0\x06\0\2\0\0" if high_throughput else b"\xff\x52\0\x0c") + PAD


def ebml(doc_type, *codecs):
    tracks = b"".join(b"\x86" + bytes((0x80 | len(codec),)) + codec for codec in codecs)
    return b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\x82" + bytes((0x80 | len(doc_type),)) + doc_type + tracks + PAD


def asf(*streams):
    return bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + PAD + b"".join(map(bytes.fromhex, streams)) + PAD


SOUND, FILM = "409e69f84d5bcf11a8fd00805f5c442b", "c0ef19bc4d5bcf11a8fd00805f5c442b"


def program(signature):
    """A program of DOS with another behind it, where the header at 60 says."""
    return b"MZ\x90\0" + bytes(56) + struct.pack("<I", 128) + PAD + signature + PAD


def ogg(*streams):
    return b"".join(b"OggS\0\2" + bytes(22) + stream + bytes(20) for stream in streams)


def manifest(path):
    return "META-INF/manifest.xml", f'<m><e full-path="{path}" media-type="{ODF}text"/></m>'


FORMATS = (
    # pictures
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + PAD, "image/png"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF" + PAD, "image/jpeg"),
    (b"\xff\xd8\xff\xf7\0\x0b\x08" + PAD, "image/jls"),  # ITU-T T.87, C.1.1: a start of frame of its own
    (b"\xff\xd8\xff\xe8\0\x06abcd\xff\xfe\0\x04hi\xff\xf7\0\x0b\x08" + PAD, "image/jls"),  # behind other segments
    (b"\xff\xd8\xff\xe0\0\x06abcd\xff\xc0\0\x0b\x08\xff\xf7" + PAD, "image/jpeg"),
    (b"\xff\xd8\xff\xda\0\x06abcd\xff\xf7" + PAD, "image/jpeg"),
    (b"GIF89a\1\0\1\0\x80\0\0" + PAD, "image/gif"),
    (b"RIFF\x24\0\0\0WEBPVP8L" + PAD, "image/webp"),
    (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0" + PAD, "image/bmp"),
    (b"\0\0\1\0\1\0\x10\x10\0\0" + PAD, "image/x-icon"),
    (b"\0\0\2\0\1\0\x10\x10\0\0" + PAD, "image/x-icon"),  # a cursor
    (b"8BPS\0\2" + PAD, "image/vnd.adobe.photoshop"),
    (b"\0\0\0\x0cJXL \r\n\x87\n" + PAD, "image/jxl"),
    (b"\xff\x0a\x98\x8f" + PAD, "image/jxl"),  # ISO 18181-2: a codestream without its box
    (jp2(b"jp2 "), "image/jp2"),
    (jp2(b"jpx "), "image/jpx"),
    (jp2(b"jpm "), "image/jpm"),
    (jp2(b"mjp2"), "video/mj2"),
    (jp2(b"jph "), "image/jph"),
    (codestream(high_throughput=False), "image/j2c"),
    (codestream(high_throughput=True), "image/jphc"),
    (b"II\xbc\1" + PAD, "image/jxr"),
    (b"\xff\x10\xff\x50" + PAD, "image/jxsc"),
    (box(b"avif", b"mif1"), "image/avif"),
    (box(b"avis"), "image/avif"),
    (box(b"mif1", b"miaf", b"avif"), "image/avif"),
    (box(b"heic", b"mif1"), "image/heic"),
    (box(b"heix"), "image/heic"),
    (box(b"msf1", b"hevc"), "image/heic"),
    (box(b"mif1", b"mif1"), "image/heif"),
    (box(b"avci"), "image/avci"),
    (box(b"j2ki"), "image/hej2k"),
    (box(b"crx ", b"crx ", b"isom"), "image/x-canon-cr3"),  # a photo in the container of films
    (b"II*\0\x10\0\0\0CR\2\0" + PAD, "image/x-canon-cr2"),
    (tiff("little", t254=1, t271="Canon", t330=8, t50706=0x401), "image/x-adobe-dng"),  # DNG, tag DNGVersion
    (tiff("big", t254=0, t50706=0x1040000), "image/x-adobe-dng"),
    (tiff("big", t254=1, t271="NIKON CORPORATION", t330=8), "image/x-nikon-nef"),
    (tiff("little", t254=1, t271="SONY", t330=8), "image/x-sony-arw"),
    (tiff("big", t254=1, t271="PENTAX Corporation", t330=8), "image/x-pentax-pef"),
    (tiff("little", t254=1, t271="SAMSUNG", t330=8), "image/x-samsung-srw"),
    (tiff("little", t254=0, t271="NIKON CORPORATION"), "image/tiff"),  # a scanner's
    (tiff("big", t256=8), "image/tiff"),
    (b"II+\0\x08\0\0\0" + PAD, "image/tiff"),
    (b"IIRO\x08\0\0\0" + PAD, "image/x-olympus-orf"),
    (b"IIU\0\x18\0\0\0" + PAD, "image/x-panasonic-rw2"),
    (b"FUJIFILMCCD-RAW 0201" + PAD, "image/x-fuji-raf"),
    (b"II\x1a\0\0\0HEAPCCDR" + PAD, "image/x-canon-crw"),
    (b"FOVb" + PAD, "image/x-sigma-x3f"),
    (b"\0MRM" + PAD, "image/x-minolta-mrw"),
    (b"gimp xcf v011\0" + PAD, "image/x-xcf"),
    (b"AT&TFORM\0\0\1\0DJVM" + PAD, "image/vnd.djvu"),
    (b"v/1\x01\2\0\0\0" + PAD, "image/x-exr"),
    (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n" + PAD, "image/vnd.radiance"),
    (b"qoif\0\0\0\1" + PAD, "image/qoi"),
    (b"DDS \x7c\0\0\0" + PAD, "image/x-dds"),
    (b"\xabKTX 11\xbb\r\n\x1a\n" + PAD, "image/ktx"),
    (b"\xabKTX 20\xbb\r\n\x1a\n" + PAD, "image/ktx2"),
    (b"\xd7\xcd\xc6\x9a" + PAD, "image/wmf"),
    (b"\1\0\0\0" + bytes(36) + b" EMF" + PAD, "image/emf"),
    (b"\n\5\1\x08" + bytes(61) + b"\3" + PAD, "image/x-pcx"),
    (b"P4\n# c\n8 8\n" + PAD, "image/x-portable-bitmap"),
    (b"P5 8 8 255\n" + PAD, "image/x-portable-graymap"),
    (b"P6\n8 8\n255\n" + PAD, "image/x-portable-pixmap"),
    (b"P4\n64 99\n" + b"\xff" * 5000, "image/x-portable-bitmap"),  # white: no byte that a text could not have
    (b"P5\n#c\n64 99 255\n" + b"\xff" * 5000, "image/x-portable-graymap"),
    (b"P6\n64 99\n255\n" + b"\xff" * 5000, "image/x-portable-pixmap"),
    (b"P6 64 99 255\nGr\xc3\xb6\xc3\x9fe", PLAIN),
    (b"P7\nWIDTH 8\n" + PAD, "image/x-portable-anymap"),
    (b"P6 is about 8 8 letters", PLAIN),
    (b"icns\0\0\1\0" + PAD, "image/x-icns"),
    (b"AC1032\0\0" + PAD, "image/vnd.dwg"),
    (b"SDPX" + PAD, "image/x-dpx"),
    (b"\x8bJNG\r\n\x1a\n" + PAD, "image/x-jng"),
    (b"\x8aMNG\r\n\x1a\n" + PAD, "video/x-mng"),
    (bytes(128) + b"DICM" + PAD, "application/dicom"),
    (b"SIMPLE  =                    T / standard" + b" " * 200, "application/fits"),
    # films and sound in ISO 14496-12
    (box(b"isom", b"mp41"), "video/mp4"),
    (box(b"M4V ", b"M4A ", b"mp42"), "video/mp4"),
    (box(b"f4v "), "video/mp4"),
    (box(b"qt  "), "video/quicktime"),
    (box(b"3gp5"), "video/3gpp"),
    (box(b"3g2a"), "video/3gpp2"),
    (box(b"3gp4") + movie(b"soun"), "audio/3gpp"),
    (box(b"3g2b") + movie(b"soun"), "audio/3gpp2"),
    (box(b"M4A "), "audio/mp4"),
    (box(b"M4A\0", b"3gp5"), "audio/mp4"),
    (box(b"M4B "), "audio/mp4"),
    (box(b"M4P "), "audio/mp4"),
    (box(b"F4A "), "audio/mp4"),
    (box(b"mp42", b"M4A ", b"isom"), "audio/mp4"),
    (box(b"mp42", b"M4A ", b"M4V "), "video/mp4"),
    (box(b"mp42") + movie(b"soun"), "audio/mp4"),  # what Android records
    (box(b"mp42", b"M4A ") + movie(b"soun", b"vide"), "video/mp4"),
    (box(b"mp42") + movie(b"vide", b"soun"), "video/mp4"),
    (box(b"isom") + b"\0\0\x20\0mdat" + bytes(8184) + movie(b"soun"), "audio/mp4"),  # the tracks stand at the end
    (box(b"isom") + b"\0\0\x20\0mdat" + bytes(8184) + movie(b"vide"), "video/mp4"),
    (box(b"isom") + movie(b"soun", table=9000), "audio/mp4"),  # the only track of a long one
    (box(b"isom") + movie(b"soun", tracks=2, table=9000), "video/mp4"),  # who knows what the second is
    (box(b"aax "), "audio/vnd.audible.aax"),
    (b"\0\0\0\x18stypmsdh" + PAD, "video/iso.segment"),
    (b"\0\0\0\x14moov\0\0\0\x0cmvhd" + PAD, "video/quicktime"),
    (b"Now, ftypes are brands.", PLAIN),
    # other containers
    (ebml(b"webm", b"V_VP8", b"A_OPUS"), "video/webm"),
    (ebml(b"webm", b"A_OPUS"), "audio/webm"),  # what a browser records
    (ebml(b"webm"), "video/webm"),
    (ebml(b"matroska", b"V_MPEG4/ISO/AVC"), "video/matroska"),
    (ebml(b"matroska", b"A_FLAC"), "audio/matroska"),
    (b"RIFF\x24\0\0\0AVI LIST" + PAD, "video/x-msvideo"),
    (b"RIFF\x24\0\0\0WAVEfmt " + PAD, "audio/wav"),
    (b"BW64\xff\xff\xff\xffWAVEds64" + PAD, "audio/wav"),
    (b"RIFF\x24\0\0\0RMIDdata" + PAD, "audio/midi"),
    (b"MThd\0\0\0\6" + PAD, "audio/midi"),
    (b"FORM\0\0\0\x24AIFC" + PAD, "audio/aiff"),
    (ogg(b"\1\x13OpusHead"), "audio/ogg"),
    (ogg(b"\1vorbis"), "audio/ogg"),
    (ogg(b"Speex   1.2"), "audio/ogg"),
    (ogg(b"\x80theora", b"\1vorbis"), "video/ogg"),
    (ogg(b"fishead\0" + PAD, b"\1vorbis", b"\x80theora"), "video/ogg"),
    (ogg(b"unknown"), "application/ogg"),
    (asf(FILM, SOUND), "video/x-ms-wmv"),
    (asf(SOUND), "audio/x-ms-wma"),
    (asf(), "video/x-ms-asf"),
    (b"FLV\1\5\0\0\0\x09" + PAD, "video/x-flv"),
    (b"\0\0\1\xba\x44" + PAD, "video/mpeg"),
    (b"\0\0\1\xb3" + PAD, "video/mpeg"),
    ((b"G\x40\0\x10" + bytes(184)) * 6, "video/mp2t"),
    ((b"\0\0\0\0G\x40\0\x10" + bytes(184)) * 6, "video/mp2t"),  # with a time code
    (b"G" * 3000, PLAIN),
    (b"\x06\x0e\x2b\x34\2\5\1\1\x0d\1\2\1\1\2\4\0" + PAD, "application/mxf"),
    (b".RMF\0\0\0\x12" + PAD, "application/vnd.rn-realmedia"),
    (b"CWS\x0a" + PAD, "application/vnd.adobe.flash.movie"),
    # sound by itself
    (MP3, "audio/mpeg"),
    (bytes(100) + MP3, "audio/mpeg"),
    (id3(20, MP3), "audio/mpeg"),
    (id3(20, b""), "audio/mpeg"),
    (id3(20, bytes(500) + MP3), "audio/mpeg"),
    (id3(COVER, MP3 * 20), "audio/mpeg"),
    ((b"\xff\xfd\x80\0" + bytes(413)) * 3, "audio/mpeg"),  # layer II, RFC 3003
    (id3(20, id3(30, FLAC)), "audio/flac"),
    (FLAC, "audio/flac"),
    (id3(20, FLAC), "audio/flac"),  # id3v2.4.0-structure, section 3.1: the size is in the header
    (id3(COVER, FLAC + flac_frames(6)), "audio/flac"),
    (ADTS, "audio/aac"),  # ISO 13818-7, 6.2
    (id3(20, ADTS), "audio/aac"),  # RFC 8216, section 3.4
    (id3(COVER, ADTS * 200), "audio/aac"),
    (ADTS[:16] + PAD, OCTETS),  # one frame proves nothing
    (id3(20, b"MAC \x96\x0f" + PAD), "audio/x-ape"),
    (b"\x0b\x77\0\0\x14\x40" + bytes(506) + b"\x0b\x77\1\1\x14\x40" + bytes(506), "audio/ac3"),
    (b"#!AMR\n\x3c" + PAD, "audio/amr"),  # RFC 4867, section 5.1
    (b"#!AMR-WB\n\x04" + PAD, "audio/amr-wb"),
    (b"#!AMR is a shebang\n", PLAIN),
    (b"\2#!SILK_V3" + PAD, "audio/silk"),
    (b"caff\0\1\0\0desc" + PAD, "audio/x-caf"),
    (b".snd\0\0\0\x18" + PAD, "audio/basic"),
    (b"MAC \x96\x0f" + PAD, "audio/x-ape"),
    (b"wvpk" + PAD, "audio/x-wavpack"),
    (b"MPCKSH\x0f" + PAD, "audio/x-musepack"),
    (b"TTA1\1\0" + PAD, "audio/x-tta"),
    (b"DSD \x1c\0\0\0" + PAD, "audio/x-dsf"),
    (b"FRM8" + bytes(8) + b"DSD " + PAD, "audio/x-dff"),
    (b"\x7f\xfe\x80\1" + PAD, "audio/vnd.dts"),
    (b"Creative Voice File\x1a\x1a\0" + PAD, "audio/x-voc"),
    (b"riff\x2e\x91\xcf\x11\xa5\xd6" + PAD, "audio/x-w64"),
    (b"Extended Module: song\x1a\0" + PAD, "audio/xm"),
    (b".ra\xfd\0\4" + PAD, "audio/x-pn-realaudio"),
    # documents
    (b"%PDF-1.7\n", "application/pdf"),
    (b"Content-Type: application/pdf\r\n\r\n%PDF-1.1\n1 0 obj<</Type/Catalog>>endobj\n", "application/pdf"),
    (b"In 1993 came\n%PDF-1.0\nwhich nobody reads.", PLAIN),
    (b"%!PS-Adobe-3.0\n", "application/postscript"),
    (b"\xc5\xd0\xd3\xc6" + PAD, "application/postscript"),  # EPS with a preview, for DOS
    (b"%!PS-AdobeFont-1.0: X\n", "application/x-font-type1"),
    (rb"{\rtf1\ansi x}", "application/rtf"),
    (rb"{\rtf1\bin3 " + b"\0\1\2}", "application/rtf"),
    (b"\xef\xbb\xbf\r\n" + rb"{\rtf1\ansi x}", "application/rtf"),
    (b"\x06\x06\xed\xf5\xd8\x1d\x46\xe5\xbd\x31\xef\xe7\xfe\x74\xb7\x1d" + PAD, "application/x-indesign"),
    (b"\xffWPC\x10\0\0\0" + PAD, "application/vnd.wordperfect"),
    (b"ITSF\3\0\0\0" + PAD, "application/vnd.ms-htmlhelp"),
    (bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + PAD, "application/onenote"),
    (b"A book".ljust(60, b"\0") + b"BOOKMOBI" + PAD, "application/x-mobipocket-ebook"),
    (b"\x78\x9f\x3e\x22" + PAD, "application/vnd.ms-tnef"),
    # Office in OLE
    (ole("WordDocument", "1Table"), "application/msword"),
    (ole("Workbook"), "application/vnd.ms-excel"),
    (ole("Book"), "application/vnd.ms-excel"),
    (ole("Current User", "PowerPoint Document"), "application/vnd.ms-powerpoint"),
    (ole("__nameid_version1.0", "__properties_version1.0"), "application/vnd.ms-outlook"),
    (ole("VisioDocument"), "application/vnd.visio"),
    (ole("Quill"), "application/vnd.ms-publisher"),
    (ole("FileHeader", "BodyText"), "application/x-hwp"),
    (ole("x", group=bytes.fromhex("84100c0000000000c000000000000046")), "application/x-msi"),
    (ole("EncryptionInfo", "EncryptedPackage"), "application/encrypted"),  # [MS-OFFCRYPTO] section 2.3
    (ole("EncryptionInfo", "EncryptedPackage", where="tail", size=50_000), "application/encrypted"),
    (ole("\tDRMContent"), "application/encrypted"),
    (ole("WordDocument", where="tail", size=50_000), "application/msword"),
    (ole("WordDocument", where="tail", size=6_000), "application/msword"),
    (ole("Something"), "application/x-ole-storage"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + b"\xec\xa5" + PAD, "application/msword"),  # [MS-DOC] 2.5.2
    # Office in a zip: the main part decides (ECMA-376 part 1, annex A; [MS-OFFMACRO2] section 2.2)
    *(
        (package(f"{media_type.removesuffix('.12')}.main+xml", **where), media_type)
        for media_type in (
            OPC + "wordprocessingml.document", OPC + "wordprocessingml.template", WORD + "document.macroEnabled.12",
            OPC + "spreadsheetml.sheet", OPC + "spreadsheetml.template", EXCEL + "sheet.macroEnabled.12",
            EXCEL + "template.macroEnabled.12", EXCEL + "addin.macroEnabled.12",
            OPC + "presentationml.presentation", OPC + "presentationml.template", OPC + "presentationml.slideshow",
            POWER + "presentation.macroEnabled.12", POWER + "template.macroEnabled.12",
            POWER + "slideshow.macroEnabled.12", POWER + "addin.macroEnabled.12",
            "application/vnd.ms-visio.drawing", "application/vnd.ms-visio.drawing.macroEnabled.12",
        )
        for where in (
            {}, {"first": False}, {"stream": True}, {"filler": 20_000}, {"first": False, "filler": 20_000},
            {"first": False, "filler": 20_000, "stream": True},
        )
    ),
    (package(WORD + "template.macroEnabledTemplate.main+xml"), WORD + "template.macroEnabled.12"),
    (package(EXCEL + "sheet.binary.macroEnabled.main"), EXCEL + "sheet.binary.macroEnabled.12"),
    (package("application/vnd.ms-package.xps-fixeddocumentsequence+xml"), "application/vnd.ms-xpsdocument"),
    (package("application/vnd.ms-package.3dmanufacturing-3dmodel+xml"), "model/3mf"),
    (package("x/unknown"), "application/zip"),
    (opc("word"), OPC + "wordprocessingml.document"),
    (zipped(("[content_types].xml", "x"), ("xl\\workbook.xml", "y")), OPC + "spreadsheetml.sheet"),  # by .NET
    (zipped(("[Content_Types].xml", "x"), ("xl/workbook.bin", "y")), EXCEL + "sheet.binary.macroEnabled.12"),
    (zipped(("[Content_Types].xml", "x"), ("word/vbaProject.bin", "y")), WORD + "document.macroEnabled.12"),
    # OpenDocument and its kind: what `mimetype` says, wherever it stands and however it is packed
    *(
        (declared(media_type, **how), media_type)
        for media_type in (
            *(ODF + kind for kind in (
                "text", "text-template", "text-master", "text-master-template", "text-web", "spreadsheet",
                "spreadsheet-template", "presentation", "presentation-template", "graphics", "graphics-template",
                "chart", "chart-template", "formula", "formula-template", "image", "image-template", "base", "database",
            )),
            *(f"application/vnd.sun.xml.{kind}" for kind in (
                "writer", "writer.template", "calc", "calc.template", "impress", "impress.template", "draw",
                "draw.template", "math",
            )),
            "application/epub+zip", "application/hwp+zip", "application/vnd.adobe.indesign-idml-package",
            "application/x-krita", "image/openraster", "application/vnd.recordare.musicxml",
            "application/vnd.etsi.asic-e+zip", "application/vnd.etsi.asic-s+zip",
        )
        for how in ({}, {"stream": True}, {"backwards": True}, {"backwards": True, "stream": True})
    ),
    (zipped(("content.xml", b"x" * 9000), manifest("/"), ("mimetype", "")), ODF + "text"),
    (zipped(("mimetype", ""), manifest("inner/")), "application/zip"),
    (zipped(("META-INF/container.xml", "x"), ("OPS/a.opf", "y")), "application/epub+zip"),  # zipped again by hand
    # programs in a zip
    (zipped(("META-INF/MANIFEST.MF", "x")), "application/java-archive"),
    (zipped(("AndroidManifest.xml", "x"), ("META-INF/MANIFEST.MF", "y")), "application/vnd.android.package-archive"),
    (zipped(("install.rdf", "x")), "application/x-xpinstall"),
    (zipped(("doc.kml", "x")), "application/vnd.google-earth.kmz"),
    (zipped(("scene.usdc", "x"), ("0/a.png", "y"), method=zipfile.ZIP_STORED), "model/vnd.usdz+zip"),
    (zipped(("a.txt", "x")), "application/zip"),
    (b"PK00" + zipped(("a.txt", "x")), "application/zip"),  # APPNOTE 8.5.4
    (b"PK\7\x08" + package(OPC + "spreadsheetml.sheet.main+xml"), OPC + "spreadsheetml.sheet"),
    # archives and disks
    (b"\x1f\x8b\x08\0" + PAD, "application/gzip"),
    (b"7z\xbc\xaf'\x1c\0\4" + PAD, "application/x-7z-compressed"),
    (b"Rar!\x1a\7\1\0" + PAD, "application/vnd.rar"),
    (b"BZh91AY&SY\0", "application/x-bzip2"),
    (b"BZh9\x17rE8P\x90\0\0\0\0", "application/x-bzip2"),  # of nothing
    (b"\xfd7zXZ\0\0" + PAD, "application/x-xz"),
    (b"\x28\xb5\x2f\xfd\0", "application/zstd"),
    (b"\x50\x2a\x4d\x18\4\0\0\0abcd\x28\xb5\x2f\xfd" + PAD, "application/zstd"),  # RFC 8878, section 3.1.2
    (b"\x04\x22\x4d\x18" + PAD, "application/x-lz4"),
    (b"LZIP\1" + PAD, "application/x-lzip"),
    (b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff" + PAD, "application/x-lzma"),
    (b"\x1f\x9d\x90" + PAD, "application/x-compress"),
    (b"\x89LZO\0\r\n\x1a\n" + PAD, "application/x-lzop"),
    (b"a".ljust(257, b"\0") + b"ustar\x0000" + PAD, "application/x-tar"),
    (b"MSCF\0\0\0\0" + PAD, "application/vnd.ms-cab-compressed"),
    (b"\x60\xea\x2a\0\x1e\x0b" + PAD, "application/x-arj"),
    (b"\x1e\x0c-lh5-" + PAD, "application/x-lzh-compressed"),
    (bytes(7) + b"**ACE**" + PAD, "application/x-ace-compressed"),
    (b"070701000A1B2C" + PAD, "application/x-cpio"),
    (b"!<arch>\ndebian-binary   1", "application/vnd.debian.binary-package"),
    (b"!<arch>\na.o/    1", "application/x-archive"),
    (b"\xed\xab\xee\xdb\3\0" + PAD, "application/x-rpm"),
    (b"xar!\0\x1c\0\1" + PAD, "application/x-xar"),
    (b"SIT!\0\1" + PAD, "application/x-stuffit"),
    (b"hsqs" + PAD, "application/vnd.squashfs"),
    (b"Cr24\3\0\0\0" + PAD, "application/x-chrome-extension"),
    (b"MSWIM\0\0\0" + PAD, "application/x-ms-wim"),
    (b"conectix\0\0" + PAD, "application/x-virtualbox-vhd"),
    (b"vhdxfile" + PAD, "application/x-virtualbox-vhdx"),
    (b"QFI\xfb\0\0\0\3" + PAD, "application/x-qemu-disk"),
    (b"\x78\xda" + bytes(9000) + b"koly\0\0\0\4" + bytes(504), "application/x-apple-diskimage"),
    # programs and data
    (program(b"PE\0\0"), "application/vnd.microsoft.portable-executable"),
    (program(b"NE\0\0"), "application/x-dosexec"),
    (b"MZ" + bytes(90), "application/x-dosexec"),
    (b"MZ\n", PLAIN),
    (b"\x7fELF\2\1\1" + PAD, "application/x-elf"),
    (b"\xcf\xfa\xed\xfe\7\0" + PAD, "application/x-mach-binary"),
    (b"\xca\xfe\xba\xbe\0\0\0\2" + PAD, "application/x-mach-binary"),
    (b"\xca\xfe\xba\xbe\0\0\0\x34" + PAD, "application/java-vm"),
    (b"\0asm\1\0\0\0", "application/wasm"),
    (b"dex\n035\0" + PAD, "application/vnd.android.dex"),
    (b"\xf3\x0d\r\n\0\0\0\0" + bytes(8) + b"\xe3" + PAD, "application/x-bytecode.python"),
    (b"\x03\xf3\r\n\1\2\3\4c\0" + PAD, "application/x-bytecode.python"),
    (b"L\0\0\0\1\x14\2\0\0\0\0\0\xc0\0\0\0\0\0\0F" + PAD, "application/x-ms-shortcut"),
    (b"SQLite format 3\0" + PAD, "application/vnd.sqlite3"),
    (b"PAR1\x15\4" + PAD + b"PAR1", "application/vnd.apache.parquet"),
    (b"ARROW1\0\0" + PAD, "application/vnd.apache.arrow.file"),
    (b"Obj\1\4" + PAD, "application/vnd.apache.avro"),
    (b"\x89HDF\r\n\x1a\n\0" + PAD, "application/x-hdf5"),
    (b"CDF\1\0\0\0\0" + PAD, "application/x-netcdf"),
    (b"\x93NUMPY\1\0" + PAD, "application/x-npy"),
    (b"MATLAB 5.0 MAT-file, Platform: GLNX86".ljust(124) + b"\0\1IM" + PAD, "application/x-matlab-data"),
    (b"\x80\4\x95\x10\0\0\0\0\0\0\0]" + PAD, "application/x-python-pickle"),
    (b"\0\1\0\0Standard Jet DB\0" + PAD, "application/x-msaccess"),
    (b"d8:announce19:http://t.example/an4:infod6:lengthi1e6:pieces2:\0\1ee", "application/x-bittorrent"),  # BEP 3
    (b"d4:infod6:lengthi1e6:pieces2:\0\1ee", "application/x-bittorrent"),
    (b"\xd4\xc3\xb2\xa1\2\0\4\0" + PAD, "application/vnd.tcpdump.pcap"),
    (b"\n\r\r\n\x1c\0\0\0\x4d\x3c\x2b\x1a" + PAD, "application/x-pcapng"),
    (b"bplist00\xd1" + PAD, "application/x-bplist"),
    (b"\xde\x12\4\x95\0\0\0\0" + PAD, "application/x-gettext-translation"),
    (b"\x95\4\x12\xde\0\0\0\1" + PAD, "application/x-gettext-translation"),
    (b"ElfFile\0" + PAD, "application/x-ms-evtx"),
    (bytes(36) + b"acsp" + PAD, "application/vnd.iccprofile"),
    (b"\0\0\x27\x0a" + bytes(20) + PAD, "application/vnd.shp"),
    (b"NES\x1a\2\1" + PAD, "application/x-nes-rom"),
    (b"wOFF\0\1\0\0" + PAD, "font/woff"),
    (b"wOF2\0\1\0\0" + PAD, "font/woff2"),
    (b"OTTO\0\x0c" + PAD, "font/otf"),
    (b"\0\1\0\0\0\x0c\0\x80\0\3\0\x40GDEF" + PAD, "font/ttf"),
    (b"ttcf\0\1\0\0" + PAD, "font/collection"),
    (bytes(8) + b"\1\0\2\0" + bytes(22) + b"LP" + PAD, "application/vnd.ms-fontobject"),
    (b"glTF\2\0\0\0" + PAD, "model/gltf-binary"),
    (bytes(80) + b"\2\0\0\0" + (b"\0\0\x80\x3f" * 12 + b"\0\0") * 2, "model/stl"),
    (bytes(80) + b"\2\0\0\0" + (b"\0\0\x80\x3f" * 12 + b"\0\0") * 3, OCTETS),
    (bytes(80) + b"\0\2\0\0" + (b"\0\0\x80\x3f" * 12 + b"\0\0") * 512, "model/stl"),
    (b"BLENDER-v300" + PAD, "application/x-blender"),
    (b"Kaydara FBX Binary  \0\x1a\0" + PAD, "application/vnd.autodesk.fbx"),
    # text
    (b"", PLAIN),
    (b"From: a@b\r\nSubject: x\r\n\r\nhi", PLAIN),
    (b'{"cells": [], "nbformat": 4}', "application/json"),
    ("hello world, Größe".encode("utf-16-le"), PLAIN),
    ("hello world, Größe".encode("utf-16-be"), PLAIN),
    (b"a\0b\0\1\0", OCTETS),
    (b"<!doctype html><p>x", "text/html"),
    (b"<svg/>", "image/svg+xml"),
    (b"<?xml version='1.0'?><a/>", "text/xml"),
)  # fmt: skip


def test_each_format_is_seen_for_what_it_is():
    found = [(data[:24], seen(data), expected) for data, expected in FORMATS]
    assert [row for row in found if row[1] != row[2]] == []


def test_no_observable_type_is_without_an_example():
    assert OBSERVABLE - {expected for _, expected in FORMATS} == set()


@pytest.mark.parametrize("cut", [1, 3, 7, 12, 20, 40])
def test_a_file_that_ends_too_soon_has_a_type_all_the_same(cut):
    assert {seen(data[:-cut]) for data, _ in FORMATS} <= OBSERVABLE
    assert {seen(data[:cut]) for data, _ in FORMATS} <= OBSERVABLE


def test_a_text_that_begins_with_a_signature_is_a_text():
    """Every signature of letters, with a sentence behind it: no picture, and no 400 of a model's provider."""
    letters = {data[:4] for data, _ in FORMATS if data[:4].isascii() and data[:4].decode().isprintable()}
    meant = {b"%PDF", b"%!PS", b"{\\rt", b"SIMP", b"!<ar", b"<!do", b"<svg", b"<?xm"}  # these are text
    sentences = [start + b" is how it begins, and so on.\n" * 40 for start in letters - meant]
    assert {sentence[:8] for sentence in sentences if seen(sentence) != PLAIN} == set()
    logs = [sentence + b"a stray \0 in a log\n" for sentence in sentences]
    assert {log[:8] for log in logs if seen(log) != OCTETS} == set()
    assert len(sentences) > 40


def test_a_workbook_within_a_letter_is_a_letter():
    """Only what stands directly below the root counts: embedded objects lie in storages of their own."""
    letter = bytearray(ole("WordDocument", "ObjectPool"))
    entry = bytearray(ole("Workbook")[512 + 128 : 512 + 256])
    letter[512 + 3 * 128 : 512 + 4 * 128] = entry
    letter[512 + 2 * 128 + 76 : 512 + 2 * 128 + 80] = struct.pack("<I", 3)  # the child of ObjectPool
    assert seen(bytes(letter)) == "application/msword"
    book = bytes(letter).replace("WordDocument".encode("utf-16-le"), "Wxyz".encode("utf-16-le").ljust(24, b"\0"))
    assert seen(book) == "application/x-ole-storage"


def test_the_tail_is_asked_for_where_it_may_tell_more():
    long = HEAD_BYTES * b"\0"
    asked = (b"PK\3\4", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"ID3\4", b"\0\0\0\x18ftypmp42", b"\x78\xda", b"BZh9")
    assert all(wants_tail(head + long) for head in asked)
    assert not any(wants_tail(head) for head in asked), "a short file is its head"
    assert not any(wants_tail(head + b"x" * HEAD_BYTES) for head in (b"\x89PNG", b"%PDF-", b"", b"\xff\xd8\xff"))
