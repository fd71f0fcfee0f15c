"""Bytes at fixed places, and the types that they stand for.

A row holds a place in the file, the letters that stand there, an expression for what stands behind them (empty if the
letters are all), and the type. In place of the type there may be a function of head and tail, which tells which of
several types it is. The first row that matches counts. Where the letters might begin a text, `media.observe` asks for a
binary data byte besides. Sources are the standards that are named, and https://www.iana.org/assignments/media-types.
Where no name is registered, it is the one that ``file`` or the format's own program uses.
"""

import functools
import re
from collections.abc import Callable

from staging._claims.audio import sound_behind_id3
from staging._claims.containers import QUICKTIME, type_of_asf, type_of_iso, type_of_matroska, type_of_ogg
from staging._claims.images import type_of_codestream, type_of_jp2, type_of_jpeg, type_of_tiff
from staging._claims.kinds import PDF
from staging._claims.ole import type_of_ole
from staging._claims.zipped import type_of_zip

Judge = Callable[[bytes, bytes], str]
_Row = tuple[int, bytes, bytes, str | Judge]

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
SIGNATURES: tuple[_Row, ...] = (
    # pictures: section 6.1 of the WHATWG MIME Sniffing standard first
    (0, b"\x89PNG\r\n\x1a\n", b"", "image/png"),
    (0, b"\xff\xd8\xff", b"", type_of_jpeg),
    (0, b"GIF8", rb"[79]a", "image/gif"),
    (0, b"RIFF", rb".{4}WEBPVP", "image/webp"),
    (0, b"BM", rb".{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "image/bmp"),  # the size of the second header
    (0, b"\0\0", rb"[\x01\x02]\0[^\0]\0.{3}\0", "image/x-icon"),  # at least one picture, and its reserved byte
    (0, b"II", rb"[*+]\0", type_of_tiff),
    (0, b"MM\0", rb"[*+]", type_of_tiff),
    (0, b"8BPS\0", rb"[\x01\x02]", "image/vnd.adobe.photoshop"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", b"", "image/jxl"),  # ISO 18181-2: the container, the bare codestream
    (0, b"\xff\x0a", b"", "image/jxl"),
    (0, b"\0\0\0\x0cjP", rb"(?:  |\x1a\x1a)\r\n\x87\n", type_of_jp2),
    (0, b"\xff\x4f\xff\x51", b"", type_of_codestream),
    (0, b"\xff\x10\xff\x50", b"", "image/jxsc"),
    (0, b"II\xbc", rb"[\0\x01]", "image/jxr"),
    (0, b"IIR", rb"[OS]", "image/x-olympus-orf"),
    (0, b"MMOR", b"", "image/x-olympus-orf"),
    (0, b"IIU\0", b"", "image/x-panasonic-rw2"),
    (0, b"FUJIFILMCCD-RAW ", b"", "image/x-fuji-raf"),
    (0, b"II\x1a\0\0\0HEAPCCDR", b"", "image/x-canon-crw"),
    (0, b"FOVb", b"", "image/x-sigma-x3f"),
    (0, b"\0MRM", b"", "image/x-minolta-mrw"),
    (0, b"gimp xcf ", b"", "image/x-xcf"),
    (0, b"AT&TFORM", rb".{4}DJV", "image/vnd.djvu"),
    (0, b"v/1\x01", b"", "image/x-exr"),
    (0, b"#?", rb"(?:RADIANCE|RGBE)\n", "image/vnd.radiance"),
    (0, b"qoif", b"", "image/qoi"),
    (0, b"DDS \x7c\0\0\0", b"", "image/x-dds"),
    (0, b"\xabKTX 11\xbb\r\n\x1a\n", b"", "image/ktx"),
    (0, b"\xabKTX 20\xbb\r\n\x1a\n", b"", "image/ktx2"),
    (0, b"\xd7\xcd\xc6\x9a", b"", "image/wmf"),
    (0, b"\x01\0\0\0", rb".{36} EMF", "image/emf"),
    (0, b"\n", rb"[\0\x02-\x05]\x01[\x01\x02\x04\x08].{60}\0[\x01-\x04]", "image/x-pcx"),
    (0, b"P4", rb"\s(?:#[^\n]*\n|\s)*\d+\s+\d+\s", "image/x-portable-bitmap"),
    (0, b"P5", rb"\s(?:#[^\n]*\n|\s)*\d+\s+\d+\s", "image/x-portable-graymap"),
    (0, b"P6", rb"\s(?:#[^\n]*\n|\s)*\d+\s+\d+\s", "image/x-portable-pixmap"),
    (0, b"P7\n", rb"(?:#[^\n]*\n)*WIDTH ", "image/x-portable-anymap"),
    (0, b"icns", b"", "image/x-icns"),
    (0, b"AC10", rb"[0-9]{2}", "image/vnd.dwg"),
    (0, b"SDPX", b"", "image/x-dpx"),
    (0, b"XPDS", b"", "image/x-dpx"),
    (0, b"\x8bJNG\r\n\x1a\n", b"", "image/x-jng"),
    (0, b"\x8aMNG\r\n\x1a\n", b"", "video/x-mng"),
    (128, b"DICM", b"", "application/dicom"),
    (0, b"SIMPLE  =", rb" {20}T", "application/fits"),
    # films and sound: section 6.2
    (0, b"\0", rb".{3}ftyp", type_of_iso),
    (0, b"\0", rb".{3}styp", "video/iso.segment"),
    (0, b"\0", rb".{3}(?:moov|mdat|wide|free|skip|pnot)", QUICKTIME),  # before it had brands
    (0, b"\x1aE\xdf\xa3", b"", type_of_matroska),
    (0, b"RIFF", rb".{4}AVI ", "video/x-msvideo"),
    (0, b"RIFF", rb".{4}WAVE", "audio/wav"),
    (0, b"RIFX", rb".{4}WAVE", "audio/wav"),
    (0, b"RF64", rb".{4}WAVE", "audio/wav"),  # ITU-R BS.2088, as the next
    (0, b"BW64", rb".{4}WAVE", "audio/wav"),
    (0, b"RIFF", rb".{4}RMID", "audio/midi"),
    (0, b"MThd\0\0\0\x06", b"", "audio/midi"),
    (0, b"FORM", rb".{4}AIF[FC]", "audio/aiff"),
    (0, b"ID3", rb"[\x02-\x04][^\xff]", sound_behind_id3),
    (0, b"fLaC", rb"[\0\x80]\0\0\x22", "audio/flac"),  # RFC 9639 section 8: the first block is always STREAMINFO
    (0, b"OggS\0", b"", type_of_ogg),
    (0, b"#!AMR", rb"(?:_MC1\.0)?\n", "audio/amr"),  # RFC 4867 section 5.1
    (0, b"#!AMR-WB", rb"(?:_MC1\.0)?\n", "audio/amr-wb"),
    (0, b"#!SILK_V3", b"", "audio/silk"),  # voice notes of WeChat and QQ
    (0, b"\x02#!SILK_V3", b"", "audio/silk"),
    (0, b"caff\0\x01", b"", "audio/x-caf"),
    (0, b".snd\0", b"", "audio/basic"),
    (0, b"MAC ", b"", "audio/x-ape"),
    (0, b"wvpk", b"", "audio/x-wavpack"),
    (0, b"MPCK", b"", "audio/x-musepack"),
    (0, b"MP+", rb"[\x07\x17\x27]", "audio/x-musepack"),
    (0, b"TTA", rb"[12]", "audio/x-tta"),
    (0, b"DSD \x1c\0\0\0", b"", "audio/x-dsf"),
    (0, b"FRM8", rb".{8}DSD ", "audio/x-dff"),
    # ETSI TS 102 114: the sync word in 16 and 14 bits, either order; DTS-HD's header
    (0, b"\x7f\xfe\x80\x01", b"", "audio/vnd.dts"),
    (0, b"\xfe\x7f\x01\x80", b"", "audio/vnd.dts"),
    (0, b"\x1f\xff\xe8\0\x07\xf0", b"", "audio/vnd.dts"),
    (0, b"\xff\x1f\0\xe8\xf1\x07", b"", "audio/vnd.dts"),
    (0, b"DTSHDHDR", b"", "audio/vnd.dts"),
    (0, b"ADIF", b"", "audio/aac"),  # ISO 13818-7, 1.A.2
    (0, b"Extended Module: ", b"", "audio/xm"),
    (0, b"Creative Voice File\x1a", b"", "audio/x-voc"),
    (0, b"riff\x2e\x91\xcf\x11", b"", "audio/x-w64"),
    (0, b".ra\xfd", b"", "audio/x-pn-realaudio"),
    (0, b".RMF\0", b"", "application/vnd.rn-realmedia"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"", type_of_asf),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02", b"", "application/mxf"),
    (0, b"FLV\x01", rb"[\0\x01\x04\x05]", "video/x-flv"),
    (0, b"\0\0\x01", rb"[\xba\xb3]", "video/mpeg"),  # ISO 13818-1, 2.5.3.3: a pack; 11172-2: a sequence
    (0, b"FWS", rb"[\x01-\x40]", "application/vnd.adobe.flash.movie"),
    (0, b"CWS", rb"[\x01-\x40]", "application/vnd.adobe.flash.movie"),
    (0, b"ZWS", rb"[\x01-\x40]", "application/vnd.adobe.flash.movie"),
    # documents
    (0, b"%PDF-", b"", PDF),
    (0, b"%!PS-AdobeFont", b"", "application/x-font-type1"),
    (0, b"\x80\x01", rb".{4}%!", "application/x-font-type1"),
    (0, b"%!PS", b"", "application/postscript"),
    (0, b"\xc5\xd0\xd3\xc6", b"", "application/postscript"),
    (0, b"{\\rtf", b"", "application/rtf"),
    (0, b"PK\x03\x04", b"", type_of_zip),  # APPNOTE 8.5.4: of one part after all
    (0, b"PK\x05\x06", b"", type_of_zip),
    (0, b"PK\x07\x08PK\x03\x04", b"", type_of_zip),
    (0, b"PK00PK\x03\x04", b"", type_of_zip),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", type_of_ole),
    (0, b"\x06\x06\xed\xf5\xd8\x1d\x46\xe5\xbd\x31\xef\xe7\xfe\x74\xb7\x1d", b"", "application/x-indesign"),
    (0, b"\xffWPC", b"", "application/vnd.wordperfect"),
    (0, b"ITSF\x03\0", b"", "application/vnd.ms-htmlhelp"),
    (0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", b"", "application/onenote"),
    (60, b"BOOKMOBI", b"", "application/x-mobipocket-ebook"),
    (0, b"\x78\x9f\x3e\x22", b"", "application/vnd.ms-tnef"),
    # archives and disks: section 6.4
    (0, b"\x1f\x8b\x08", b"", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", b"", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", rb"[\0\x01]", "application/vnd.rar"),
    (0, b"BZh", rb"[1-9](?:1AY&SY|\x17rE8P\x90)", "application/x-bzip2"),  # a block, or the end at once
    (0, b"\xfd7zXZ\0", b"", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", b"", _ZSTD),
    (1, b"\x2a\x4d\x18", rb"(?<=[\x50-\x5f]...)", _ZSTD),  # RFC 8878 section 3.1.2: skippable frames
    (0, b"\x04\x22\x4d\x18", b"", "application/x-lz4"),
    (0, b"\x02\x21\x4c\x18", b"", "application/x-lz4"),
    (0, b"LZIP\x01", b"", "application/x-lzip"),
    (0, b"\x5d\0\0", rb"[\x01-\x80].(?:\xff{8}|.{4}\0{3})", "application/x-lzma"),
    (0, b"\x1f\x9d", rb"[\x80-\x90]", "application/x-compress"),
    (0, b"\x89LZO\0\r\n\x1a\n", b"", "application/x-lzop"),
    (257, b"ustar", rb"[\0 ]", "application/x-tar"),
    (0, b"MSCF\0\0\0\0", b"", "application/vnd.ms-cab-compressed"),
    (0, b"\x60\xea", rb".[\0-\x0a][\x1e-\x24]", "application/x-arj"),
    (2, b"-lh", rb"[0-7d]-", "application/x-lzh-compressed"),
    (7, b"**ACE**", b"", "application/x-ace-compressed"),
    (0, b"07070", rb"[127][0-9A-Fa-f]{6}", "application/x-cpio"),
    (0, b"!<arch>\ndebian-binary", b"", "application/vnd.debian.binary-package"),
    (0, b"!<", rb"(?:arch|thin)>\n", "application/x-archive"),
    (0, b"\xed\xab\xee\xdb", b"", "application/x-rpm"),
    (0, b"xar!\0\x1c", b"", "application/x-xar"),
    (0, b"SIT!", b"", "application/x-stuffit"),
    (0, b"StuffIt (c)", b"", "application/x-stuffit"),
    (0, b"hsqs", b"", "application/vnd.squashfs"),
    (0, b"sqsh", b"", "application/vnd.squashfs"),
    (0, b"Cr24", rb"[\x02\x03]\0", "application/x-chrome-extension"),
    (0, b"MSWIM\0\0\0", b"", "application/x-ms-wim"),
    (0, b"conectix\0", b"", "application/x-virtualbox-vhd"),
    (0, b"vhdxfile", b"", "application/x-virtualbox-vhdx"),
    (0, b"QFI\xfb", b"", "application/x-qemu-disk"),
    # programs and data
    (0, b"MZ", b"", _type_of_exe),
    (0, b"\x7fELF", rb"[\x01\x02][\x01\x02]", "application/x-elf"),
    (0, b"\xfe\xed\xfa\xce", b"", _MACH),
    (0, b"\xfe\xed\xfa\xcf", b"", _MACH),
    (0, b"\xce\xfa\xed\xfe", b"", _MACH),
    (0, b"\xcf\xfa\xed\xfe", b"", _MACH),
    (0, b"\xca\xfe\xba\xbe", b"", _type_of_cafebabe),
    (0, b"\0asm", rb"[\x01-\x0f]\0", "application/wasm"),
    (0, b"dex\n0", rb"[0-9]{2}\0", "application/vnd.android.dex"),
    (2, b"\r\n", rb"(?<=[\x0b-\x0e]..).{8}(?:.{4})?[\xe3c]", "application/x-bytecode.python"),
    (0, b"\x03\xf3\r\n", rb".{4}c", "application/x-bytecode.python"),
    (0, b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F", b"", "application/x-ms-shortcut"),
    (0, b"SQLite format 3\0", b"", "application/vnd.sqlite3"),
    (0, b"PAR", rb"[1E]", "application/vnd.apache.parquet"),
    (0, b"ARROW1\0\0", b"", "application/vnd.apache.arrow.file"),
    (0, b"Obj\x01", b"", "application/vnd.apache.avro"),
    (0, b"\x89HDF\r\n\x1a\n", b"", "application/x-hdf5"),
    (0, b"CDF", rb"[\x01\x02\x05]", "application/x-netcdf"),
    (0, b"\x93NUMPY", rb"[\x01-\x03]", "application/x-npy"),
    (0, b"MATLAB ", rb"[57]\.[0-9] MAT-file", "application/x-matlab-data"),
    (0, b"\x80", rb"[\x04\x05]\x95.{6}\0\0", "application/x-python-pickle"),
    (0, b"\0\x01\0\0Standard ", rb"(?:Jet|ACE) DB\0", "application/x-msaccess"),
    # BEP 3: a dictionary whose first key, in their order, is one of these
    (0, b"d",
     rb"(?:8:announce|13:announce-list|7:comment|10:created by|13:creation date|8:encoding|4:info|8:url-list)[0-9dil]",
     "application/x-bittorrent"),
    (0, b"\xd4\xc3\xb2\xa1", b"", "application/vnd.tcpdump.pcap"),
    (0, b"\xa1\xb2\xc3\xd4", b"", "application/vnd.tcpdump.pcap"),
    (0, b"\x4d\x3c\xb2\xa1", b"", "application/vnd.tcpdump.pcap"),
    (0, b"\xa1\xb2\x3c\x4d", b"", "application/vnd.tcpdump.pcap"),
    (0, b"\n\r\r\n", rb".{4}(?:\x1a\x2b\x3c\x4d|\x4d\x3c\x2b\x1a)", "application/x-pcapng"),
    (0, b"bplist0", rb"[0-9]", "application/x-bplist"),
    (0, b"\xde\x12\x04\x95", rb"[\0\x01]\0[\0\x01]\0", "application/x-gettext-translation"),
    (0, b"\x95\x04\x12\xde", rb"(?:\0[\0\x01]){2}", "application/x-gettext-translation"),
    (0, b"ElfFile\0", b"", "application/x-ms-evtx"),
    (36, b"acsp", b"", "application/vnd.iccprofile"),
    (0, b"\0\0\x27\x0a", rb"\0{20}", "application/vnd.shp"),
    (0, b"NES\x1a", b"", "application/x-nes-rom"),
    # fonts: section 6.3
    (0, b"wOFF", b"", "font/woff"),
    (0, b"wOF2", b"", "font/woff2"),
    (0, b"OTTO\0", b"", "font/otf"),
    (0, b"\0\x01\0\0\0", rb"[\x01-\x60].{6}[ -~]{4}", "font/ttf"),  # the first table's name
    (0, b"true\0", rb"[\x01-\x60].{6}[ -~]{4}", "font/ttf"),
    (0, b"ttcf\0", rb"[\x01\x02]\0\0", "font/collection"),
    (34, b"LP", rb"(?<=(?:\0\0\x01|[\x01\x02]\0\x02)\0.{24})", "application/vnd.ms-fontobject"),
    # things to look at
    (0, b"glTF", rb"[\x01\x02]\0\0\0", "model/gltf-binary"),
    (0, b"BLENDER", rb"[-_0-9]", "application/x-blender"),
    (0, b"Kaydara FBX Binary  \0", b"", "application/vnd.autodesk.fbx"),
)
# fmt: on


@functools.cache
def _rows(first: bytes) -> tuple[_Row, ...]:
    """Return the rows that a file with this first byte may match."""
    return tuple(row for row in SIGNATURES if row[0] or row[1].startswith(first))


@functools.cache
def _expression(behind: bytes) -> re.Pattern[bytes]:
    """Compile what stands behind the letters.

    Few files get so far, and to compile all expressions takes as long as to stage thirty small files.
    """
    return re.compile(behind, re.DOTALL)


def signature_of(head: bytes) -> str | Judge | None:
    """Return what the first row that matches stands for, or None."""
    for place, letters, behind, signed in _rows(head[:1]):
        if head.startswith(letters, place) and (not behind or _expression(behind).match(head, place + len(letters))):
            return signed
    return None
