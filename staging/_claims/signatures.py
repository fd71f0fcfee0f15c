"""Bytes at fixed places, and the types that they stand for.

A row holds an expression that is matched at the beginning of the file, and the type. In place of the type there may be
a function of head and tail, which tells which of several types it is. Where the letters of a signature might begin a
text, `media.observe` asks for a binary data byte besides. Sources are the standards that are named, and
https://www.iana.org/assignments/media-types. Where no name is registered, it is the one that ``file`` or the format's
own program uses.
"""

import re
from collections.abc import Callable

from staging._claims.audio import sound_behind_id3
from staging._claims.containers import QUICKTIME, type_of_asf, type_of_iso, type_of_matroska, type_of_ogg
from staging._claims.images import type_of_codestream, type_of_jp2, type_of_jpeg, type_of_tiff
from staging._claims.kinds import PDF
from staging._claims.ole import type_of_ole
from staging._claims.zipped import type_of_zip

Judge = Callable[[bytes, bytes], str]

PORTABLE = "application/vnd.microsoft.portable-executable"
_DOS = "application/x-dosexec"
_CLASS = "application/java-vm"
_MACH = "application/x-mach-binary"
_ZSTD = "application/zstd"

PROGRAMS = frozenset({PORTABLE, _DOS, _CLASS, _MACH})
"""What the functions of this module tell."""


def _type_of_exe(head: bytes, _: bytes) -> str:
    """Return the type of a program of Windows or DOS.

    The older header points to the newer one, which decides.
    """
    at = int.from_bytes(head[60:64], "little")
    seen = len(head) >= 64 and at <= len(head) - 4
    return _DOS if seen and not head.startswith(b"PE\0\0", at) else PORTABLE


def _type_of_cafebabe(head: bytes, _: bytes) -> str:
    """Return the type of a Java class or an Apple universal program.

    Both begin alike. A universal program holds fewer than 32 others.
    """
    return _MACH if int.from_bytes(head[4:8]) < 32 else _CLASS


# fmt: off
SIGNATURES: tuple[tuple[bytes, str | Judge], ...] = (
    # pictures: section 6.1 of the WHATWG MIME Sniffing standard first
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"\xff\xd8\xff", type_of_jpeg),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF.{4}WEBPVP", "image/webp"),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "image/bmp"),  # the size of the second header: seven exist
    (rb"\0\0[\x01\x02]\0[^\0]\0.{3}\0", "image/x-icon"),  # at least one picture, and its reserved byte
    (rb"II[*+]\0|MM\0[*+]", type_of_tiff),
    (rb"8BPS\0[\x01\x02]", "image/vnd.adobe.photoshop"),
    (rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a", "image/jxl"),  # ISO 18181-2: the container, the bare codestream
    (rb"\0\0\0\x0cjP(?:  |\x1a\x1a)\r\n\x87\n", type_of_jp2),
    (rb"\xff\x4f\xff\x51", type_of_codestream),
    (rb"\xff\x10\xff\x50", "image/jxsc"),
    (rb"II\xbc[\0\x01]", "image/jxr"),
    (rb"IIR[OS]|MMOR", "image/x-olympus-orf"),
    (rb"IIU\0", "image/x-panasonic-rw2"),
    (rb"FUJIFILMCCD-RAW ", "image/x-fuji-raf"),
    (rb"II\x1a\0\0\0HEAPCCDR", "image/x-canon-crw"),
    (rb"FOVb", "image/x-sigma-x3f"),
    (rb"\0MRM", "image/x-minolta-mrw"),
    (rb"gimp xcf ", "image/x-xcf"),
    (rb"AT&TFORM.{4}DJV", "image/vnd.djvu"),
    (rb"v/1\x01", "image/x-exr"),
    (rb"#\?(?:RADIANCE|RGBE)\n", "image/vnd.radiance"),
    (rb"qoif", "image/qoi"),
    (rb"DDS \x7c\0\0\0", "image/x-dds"),
    (rb"\xabKTX 11\xbb\r\n\x1a\n", "image/ktx"),
    (rb"\xabKTX 20\xbb\r\n\x1a\n", "image/ktx2"),
    (rb"\xd7\xcd\xc6\x9a", "image/wmf"),
    (rb"\x01\0\0\0.{36} EMF", "image/emf"),
    (rb"\n[\0\x02-\x05]\x01[\x01\x02\x04\x08].{60}\0[\x01-\x04]", "image/x-pcx"),
    (rb"P4\s(?:#[^\n]*\n|\s)*+\d+\s+\d+\s", "image/x-portable-bitmap"),
    (rb"P5\s(?:#[^\n]*\n|\s)*+\d+\s+\d+\s", "image/x-portable-graymap"),
    (rb"P6\s(?:#[^\n]*\n|\s)*+\d+\s+\d+\s", "image/x-portable-pixmap"),
    (rb"P7\n(?:#[^\n]*\n)*+WIDTH ", "image/x-portable-anymap"),
    (rb"icns", "image/x-icns"),
    (rb"AC10[0-9]{2}", "image/vnd.dwg"),
    (rb"SDPX|XPDS", "image/x-dpx"),
    (rb"\x8bJNG\r\n\x1a\n", "image/x-jng"),
    (rb"\x8aMNG\r\n\x1a\n", "video/x-mng"),
    (rb".{128}DICM", "application/dicom"),
    (rb"SIMPLE  = {20}T", "application/fits"),
    # films and sound: section 6.2
    (rb"\0.{3}ftyp", type_of_iso),
    (rb"\0.{3}styp", "video/iso.segment"),
    (rb"\0.{3}(?:moov|mdat|wide|free|skip|pnot)", QUICKTIME),  # before it had brands
    (rb"\x1aE\xdf\xa3", type_of_matroska),
    (rb"RIFF.{4}AVI ", "video/x-msvideo"),
    (rb"(?:RIFF|RIFX|RF64|BW64).{4}WAVE", "audio/wav"),  # RF64 and BW64: ITU-R BS.2088
    (rb"RIFF.{4}RMID|MThd\0\0\0\x06", "audio/midi"),
    (rb"FORM.{4}AIF[FC]", "audio/aiff"),
    (rb"ID3[\x02-\x04][^\xff]", sound_behind_id3),
    (rb"fLaC[\0\x80]\0\0\x22", "audio/flac"),  # RFC 9639 section 8: the first block is always STREAMINFO
    (rb"OggS\0", type_of_ogg),
    (rb"#!AMR(?:_MC1\.0)?\n", "audio/amr"),  # RFC 4867 section 5.1
    (rb"#!AMR-WB(?:_MC1\.0)?\n", "audio/amr-wb"),
    (rb"\x02?#!SILK_V3", "audio/silk"),  # voice notes of WeChat and QQ
    (rb"caff\0\x01", "audio/x-caf"),
    (rb"\.snd\0", "audio/basic"),
    (rb"MAC ", "audio/x-ape"),
    (rb"wvpk", "audio/x-wavpack"),
    (rb"MPCK|MP\+[\x07\x17\x27]", "audio/x-musepack"),
    (rb"TTA[12]", "audio/x-tta"),
    (rb"DSD \x1c\0\0\0", "audio/x-dsf"),
    (rb"FRM8.{8}DSD ", "audio/x-dff"),
    # ETSI TS 102 114: the sync word in 16 and 14 bits, either order; DTS-HD's header
    (rb"\x7f\xfe\x80\x01|\xfe\x7f\x01\x80|\x1f\xff\xe8\0\x07\xf0|\xff\x1f\0\xe8\xf1\x07|DTSHDHDR", "audio/vnd.dts"),
    (rb"ADIF", "audio/aac"),  # ISO 13818-7, 1.A.2
    (rb"Extended Module: ", "audio/xm"),
    (rb"Creative Voice File\x1a", "audio/x-voc"),
    (rb"riff\x2e\x91\xcf\x11", "audio/x-w64"),
    (rb"\.ra\xfd", "audio/x-pn-realaudio"),
    (rb"\.RMF\0", "application/vnd.rn-realmedia"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", type_of_asf),
    (rb"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02", "application/mxf"),
    (rb"FLV\x01[\0\x01\x04\x05]", "video/x-flv"),
    (rb"\0\0\x01[\xba\xb3]", "video/mpeg"),  # ISO 13818-1, 2.5.3.3: a pack; 11172-2: a sequence
    (rb"[FCZ]WS[\x01-\x40]", "application/vnd.adobe.flash.movie"),
    # documents
    (rb"%PDF-", PDF),
    (rb"%!PS-AdobeFont|\x80\x01.{4}%!", "application/x-font-type1"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "application/postscript"),
    (rb"\{\\rtf", "application/rtf"),
    (rb"PK(?:\x03\x04|\x05\x06|(?:\x07\x08|00)PK\x03\x04)", type_of_zip),  # APPNOTE 8.5.4: of one part after all
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", type_of_ole),
    (rb"\x06\x06\xed\xf5\xd8\x1d\x46\xe5\xbd\x31\xef\xe7\xfe\x74\xb7\x1d", "application/x-indesign"),
    (rb"\xffWPC", "application/vnd.wordperfect"),
    (rb"ITSF\x03\0", "application/vnd.ms-htmlhelp"),
    (rb"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "application/onenote"),
    (rb".{60}BOOKMOBI", "application/x-mobipocket-ebook"),
    (rb"\x78\x9f\x3e\x22", "application/vnd.ms-tnef"),
    # archives and disks: section 6.4
    (rb"\x1f\x8b\x08", "application/gzip"),
    (rb"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (rb"Rar!\x1a\x07[\0\x01]", "application/vnd.rar"),
    (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", "application/x-bzip2"),  # a block, or the end at once
    (rb"\xfd7zXZ\0", "application/x-xz"),
    (rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", _ZSTD),  # RFC 8878 section 3.1.2: skippable frames
    (rb"\x04\x22\x4d\x18|\x02\x21\x4c\x18", "application/x-lz4"),
    (rb"LZIP\x01", "application/x-lzip"),
    (rb"\x5d\0\0[\x01-\x80].(?:\xff{8}|.{4}\0{3})", "application/x-lzma"),
    (rb"\x1f\x9d[\x80-\x90]", "application/x-compress"),
    (rb"\x89LZO\0\r\n\x1a\n", "application/x-lzop"),
    (rb".{257}ustar[\0 ]", "application/x-tar"),
    (rb"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"),
    (rb"\x60\xea.[\0-\x0a][\x1e-\x24]", "application/x-arj"),
    (rb"..-lh[0-7d]-", "application/x-lzh-compressed"),
    (rb".{7}\*\*ACE\*\*", "application/x-ace-compressed"),
    (rb"07070[127][0-9A-Fa-f]{6}", "application/x-cpio"),
    (rb"!<arch>\ndebian-binary", "application/vnd.debian.binary-package"),
    (rb"!<(?:arch|thin)>\n", "application/x-archive"),
    (rb"\xed\xab\xee\xdb", "application/x-rpm"),
    (rb"xar!\0\x1c", "application/x-xar"),
    (rb"SIT!|StuffIt \(c\)", "application/x-stuffit"),
    (rb"hsqs|sqsh", "application/vnd.squashfs"),
    (rb"Cr24[\x02\x03]\0", "application/x-chrome-extension"),
    (rb"MSWIM\0\0\0", "application/x-ms-wim"),
    (rb"conectix\0", "application/x-virtualbox-vhd"),
    (rb"vhdxfile", "application/x-virtualbox-vhdx"),
    (rb"QFI\xfb", "application/x-qemu-disk"),
    # programs and data
    (rb"MZ", _type_of_exe),
    (rb"\x7fELF[\x01\x02][\x01\x02]", "application/x-elf"),
    (rb"\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe", _MACH),
    (rb"\xca\xfe\xba\xbe", _type_of_cafebabe),
    (rb"\0asm[\x01-\x0f]\0", "application/wasm"),
    (rb"dex\n0[0-9]{2}\0", "application/vnd.android.dex"),
    (rb".[\x0b-\x0e]\r\n.{8}(?:.{4})?[\xe3c]|\x03\xf3\r\n.{4}c", "application/x-bytecode.python"),
    (rb"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F", "application/x-ms-shortcut"),
    (rb"SQLite format 3\0", "application/vnd.sqlite3"),
    (rb"PAR[1E]", "application/vnd.apache.parquet"),
    (rb"ARROW1\0\0", "application/vnd.apache.arrow.file"),
    (rb"Obj\x01", "application/vnd.apache.avro"),
    (rb"\x89HDF\r\n\x1a\n", "application/x-hdf5"),
    (rb"CDF[\x01\x02\x05]", "application/x-netcdf"),
    (rb"\x93NUMPY[\x01-\x03]", "application/x-npy"),
    (rb"MATLAB [57]\.[0-9] MAT-file", "application/x-matlab-data"),
    (rb"\x80[\x04\x05]\x95.{6}\0\0", "application/x-python-pickle"),
    (rb"\0\x01\0\0Standard (?:Jet|ACE) DB\0", "application/x-msaccess"),
    # BEP 3: a dictionary whose first key, in their order, is one of these
    (rb"d(?:8:announce|13:announce-list|7:comment|10:created by|13:creation date|8:encoding|4:info|8:url-list)[0-9dil]",
     "application/x-bittorrent"),
    (rb"\xd4\xc3\xb2\xa1|\xa1\xb2\xc3\xd4|\x4d\x3c\xb2\xa1|\xa1\xb2\x3c\x4d", "application/vnd.tcpdump.pcap"),
    (rb"\n\r\r\n.{4}(?:\x1a\x2b\x3c\x4d|\x4d\x3c\x2b\x1a)", "application/x-pcapng"),
    (rb"bplist0[0-9]", "application/x-bplist"),
    (rb"\xde\x12\x04\x95[\0\x01]\0[\0\x01]\0|\x95\x04\x12\xde(?:\0[\0\x01]){2}", "application/x-gettext-translation"),
    (rb"ElfFile\0", "application/x-ms-evtx"),
    (rb".{36}acsp", "application/vnd.iccprofile"),
    (rb"\0\0\x27\x0a\0{20}", "application/vnd.shp"),
    (rb"NES\x1a", "application/x-nes-rom"),
    # fonts: section 6.3
    (rb"wOFF", "font/woff"),
    (rb"wOF2", "font/woff2"),
    (rb"OTTO\0", "font/otf"),
    (rb"(?:\0\x01\0\0|true)\0[\x01-\x60].{6}[ -~]{4}", "font/ttf"),  # the first table's name
    (rb"ttcf\0[\x01\x02]\0\0", "font/collection"),
    (rb".{8}(?:\0\0\x01|[\x01\x02]\0\x02)\0.{22}LP", "application/vnd.ms-fontobject"),
    # things to look at
    (rb"glTF[\x01\x02]\0\0\0", "model/gltf-binary"),
    (rb"BLENDER[-_0-9]", "application/x-blender"),
    (rb"Kaydara FBX Binary  \0", "application/vnd.autodesk.fbx"),
)
# fmt: on

_GROUP = re.compile(rb"\(\?:[^()]*\)")
_FIRST = re.compile(rb"(?:\\x(..)|(\\[0n])|(\\[^a-z0-9]|[^.\[\\]))(?![?*{])")


def may_begin(pattern: bytes, first: bytes) -> bool:
    """Tell whether a row of the table may match a file with this first byte.

    It looks at the first literal of each alternative. Where there is none, every byte may be the first.
    """
    while pattern != (flat := _GROUP.sub(b".", pattern)):
        pattern = flat
    for alternative in pattern.split(b"|"):
        literal = _FIRST.match(alternative)
        if literal is None:
            return True
        code, control, plain = literal.groups(b"")
        if first == (bytes.fromhex(code.decode()) or {b"\\0": b"\0", b"\\n": b"\n"}.get(control, plain[-1:])):
            return True
    return False
