"""Media types that go by several names, or that one container serves.

Each row stands under the name that the comparison uses. Honest senders write any of the names: the registered one, an
older one, or the one that a browser, a desktop or ``file`` uses.
"""

import functools

from staging._claims.kinds import DOC, GZIP, HTML, JSON, MP3, MSG, OLE, PDF, PPT, SVG, XLS, XML, ZIP

_NAMES = {
    "image/png": "image/x-png image/apng image/vnd.mozilla.apng",
    "image/jpeg": "image/jpg image/pjpeg image/jpe image/jfif image/x-jpeg image/x-citrix-jpeg image/mpo",
    "image/bmp": "image/x-ms-bmp image/x-bmp image/x-windows-bmp image/dib",
    "image/tiff": (
        "image/tif image/x-tiff image/x-tif image/tiff-fx image/x-adobe-dng image/dng image/x-canon-cr2 "
        "image/x-nikon-nef image/x-sony-arw image/x-pentax-pef image/x-samsung-srw image/x-dcraw image/x-raw"
    ),
    "image/x-icon": "image/vnd.microsoft.icon image/ico image/icon image/x-win-bitmap image/cur",
    "image/gif": "image/x-gif",
    "image/webp": "image/x-webp",
    "image/jxl": "image/x-jxl",
    SVG: "image/svg image/svg-xml application/svg+xml text/svg",
    "image/heic": "image/heif image/heic-sequence image/heif-sequence image/x-heic image/x-heif",
    "image/avif": "image/avif-sequence",
    "image/x-canon-cr3": "image/x-cr3",
    "image/jp2": (
        "image/jpx image/jpm image/j2c image/jph image/jphc image/jpeg2000 image/jpeg2000-image "
        "image/x-jpeg2000-image image/x-jp2-codestream image/x-j2k image/j2k"
    ),
    "image/jxr": "image/vnd.ms-photo image/x-ms-hdp",
    "image/jls": "image/x-jls",
    "image/vnd.adobe.photoshop": "image/x-psd image/psd application/x-photoshop application/photoshop application/psd",
    "image/vnd.djvu": "image/x-djvu image/x.djvu image/djvu",
    "image/x-exr": "image/exr image/aces",
    "image/x-dds": "image/vnd-ms.dds image/vnd.ms-dds image/dds",
    "image/wmf": "image/x-wmf application/x-msmetafile",
    "image/emf": "image/x-emf",
    "image/x-pcx": "image/vnd.zbrush.pcx image/pcx",
    "image/qoi": "image/x-qoi",
    "image/vnd.radiance": "image/x-hdr",
    "image/x-icns": "image/icns",
    "application/fits": "image/fits",
    "image/vnd.dwg": "image/x-dwg application/acad application/x-dwg application/dwg",
    "image/x-portable-anymap": (
        "image/x-portable-bitmap image/x-portable-graymap image/x-portable-pixmap image/x-portable-arbitrarymap "
    ),
    MP3: (
        "audio/mp3 audio/x-mp3 audio/mpeg3 audio/x-mpeg audio/x-mpeg-3 audio/mpg audio/mpa audio/mpa-robust "
        "audio/mp2 audio/x-mpegaudio audio/mpegaudio"
    ),
    "audio/wav": "audio/x-wav audio/wave audio/vnd.wave audio/x-pn-wav audio/bwf",
    "audio/flac": "audio/x-flac",
    "audio/aiff": "audio/x-aiff audio/aif audio/x-aifc",
    "audio/midi": "audio/x-midi audio/mid audio/sp-midi audio/x-mid",
    "audio/aac": "audio/x-aac audio/aacp audio/x-hx-aac-adts audio/x-adts audio/vnd.dlna.adts",
    "audio/amr": "audio/x-amr audio/amr-nb",
    "audio/x-caf": "audio/caf",
    "audio/silk": "audio/x-silk",
    "audio/basic": "audio/x-au audio/au",
    "audio/x-ape": "audio/ape audio/x-monkeys-audio",
    "audio/ac3": "audio/x-ac3 audio/eac3",
    "audio/x-wavpack": "audio/wavpack audio/x-wv",
    "audio/vnd.dts": "audio/x-dts audio/vnd.dts.hd",
    "audio/x-musepack": "audio/musepack audio/x-mpc",
    "audio/x-dsf": "audio/dsf audio/x-dsd",
    "application/ogg": (
        "audio/ogg video/ogg audio/opus audio/vorbis audio/x-vorbis audio/x-vorbis+ogg audio/x-opus+ogg "
        "audio/x-ogg audio/speex audio/x-speex audio/x-speex+ogg audio/x-flac+ogg video/x-theora+ogg "
        "video/x-ogm+ogg application/x-ogg video/x-ogg"
    ),
    "video/mp4": (
        "audio/mp4 audio/x-m4a audio/m4a audio/x-m4b audio/m4b audio/x-m4p audio/x-m4r audio/mp4a-latm "
        "video/x-m4v video/m4v video/x-f4v video/quicktime audio/quicktime video/3gpp video/3gpp2 audio/3gpp "
        "audio/3gpp2 video/3gp video/3g2 application/mp4 application/x-mp4 video/x-mp4 video/iso.segment "
        "audio/vnd.audible.aax"
    ),
    "video/webm": (
        "audio/webm video/matroska video/x-matroska audio/matroska audio/x-matroska application/x-matroska "
        "video/x-matroska-3d video/x-webm"
    ),
    "video/x-msvideo": "video/avi video/msvideo video/vnd.avi video/x-avi application/x-troff-msvideo",
    "video/x-ms-asf": (
        "video/x-ms-wmv audio/x-ms-wma video/x-ms-wm audio/x-ms-wax application/vnd.ms-asf video/asf "
        "audio/wma video/wmv"
    ),
    "video/mpeg": "video/x-mpeg video/mpg video/x-mpeg-system video/mp2p video/mpv video/dvd video/x-ms-vob",
    "video/mp2t": "video/mpegts video/vnd.dlna.mpeg-tts video/x-mpegts application/mp2t audio/mp2t",
    "video/x-flv": "video/flv",
    "application/vnd.adobe.flash.movie": "application/x-shockwave-flash",
    "application/vnd.rn-realmedia": (
        "application/vnd.rn-realmedia-vbr audio/x-pn-realaudio audio/vnd.rn-realaudio video/vnd.rn-realvideo"
    ),
    PDF: "application/x-pdf application/acrobat text/pdf application/vnd.pdf text/x-pdf",
    "application/postscript": (
        "application/ps application/eps application/x-eps image/x-eps image/eps application/x-postscript "
        "application/illustrator application/x-font-type1"
    ),
    "application/rtf": "text/rtf application/x-rtf text/richtext",
    GZIP: (
        "application/x-gzip application/gzip-compressed application/x-gunzip application/x-tgz "
        "application/x-compressed-tar application/x-gtar-compressed application/x-gzip-compressed "
        "application/x-gtar application/tar+gzip"
    ),
    ZIP: (
        "application/x-zip-compressed application/x-zip multipart/x-zip application/zip-compressed "
        "application/x-winzip application/vnd.comicbook+zip application/x-cbz"
    ),
    "application/vnd.rar": (
        "application/x-rar application/rar application/x-rar-compressed application/vnd.comicbook-rar "
        "application/x-cbr"
    ),
    "application/x-7z-compressed": "application/x-7zip application/7z application/x-7z application/x-cb7",
    "application/x-bzip2": (
        "application/x-bzip application/bzip2 application/x-bz2 application/x-bzip-compressed-tar "
        "application/x-bzip2-compressed-tar application/x-bzip1"
    ),
    "application/x-xz": "application/xz application/x-xz-compressed-tar",
    "application/zstd": "application/x-zstd application/x-zstd-compressed-tar",
    "application/x-lz4": "application/lz4 application/x-lz4-compressed-tar",
    "application/x-lzip": "application/lzip",
    "application/x-lzma": "application/x-lzma-compressed-tar",
    "application/x-compress": "application/x-compress-tar",
    "application/x-tar": "application/tar application/x-ustar application/x-cbt",
    "application/vnd.ms-cab-compressed": "application/x-cab application/cab application/x-cab-compressed",
    "application/x-lzh-compressed": "application/x-lha application/x-lzh application/x-lharc",
    "application/x-arj": "application/arj",
    "application/x-ace-compressed": "application/x-ace",
    "application/x-archive": "application/x-unix-archive application/x-ar",
    "application/x-stuffit": "application/stuffit application/x-sit",
    "application/x-xar": "application/vnd.apple.installer+xml",
    "application/vnd.debian.binary-package": "application/x-debian-package application/x-deb application/deb",
    "application/x-rpm": "application/x-redhat-package-manager application/rpm",
    "application/x-msi": "application/x-ms-installer application/x-windows-installer application/x-msi-installer",
    "application/java-archive": "application/x-java-archive application/x-jar application/jar",
    "application/x-apple-diskimage": "application/x-dmg application/dmg",
    "application/vnd.microsoft.portable-executable": (
        "application/x-msdownload application/x-dosexec application/x-msdos-program application/x-exe "
        "application/x-winexe application/exe application/x-ms-dos-executable application/x-ms-program "
        "application/x-msdos-windows application/vnd.microsoft.windows-executable application/dos-exe"
    ),
    "application/x-elf": (
        "application/x-executable application/x-sharedlib application/x-pie-executable application/x-object "
        "application/x-coredump"
    ),
    "application/x-mach-binary": "application/x-mach-o application/x-mach-o-executable",
    "application/wasm": "application/x-wasm",
    "application/java-vm": "application/x-java-class application/x-java-applet application/java",
    "application/vnd.android.dex": "application/x-dex",
    "application/x-bytecode.python": "application/x-python-bytecode application/x-python-code application/x-pyc",
    "application/x-ms-shortcut": "application/x-win-lnk application/x-mswinurl",
    "application/vnd.sqlite3": "application/x-sqlite3 application/x-sqlite application/sqlite3 application/sqlite",
    "application/vnd.apache.parquet": "application/x-parquet application/parquet application/vnd.parquet",
    "application/vnd.apache.arrow.file": "application/x-arrow application/feather",
    "application/vnd.apache.avro": "application/avro avro/binary",
    "application/x-hdf5": "application/x-hdf application/hdf5 application/vnd.hdf5",
    "application/x-netcdf": "application/netcdf",
    "application/x-npy": "application/x-numpy-data application/npy",
    "application/x-python-pickle": "application/python-pickle application/pickle",
    "application/x-msaccess": "application/msaccess application/vnd.ms-access application/mdb",
    "application/vnd.tcpdump.pcap": "application/pcap application/x-pcap",
    "application/x-pcapng": "application/pcapng",
    "application/x-bplist": "application/x-plist",
    "application/x-gettext-translation": "application/x-gettext",
    "application/x-bittorrent": "application/bittorrent",
    "application/vnd.iccprofile": "application/x-icc-profile",
    "application/x-mobipocket-ebook": (
        "application/vnd.amazon.ebook application/vnd.amazon.mobi8-ebook application/x-mobi8-ebook"
    ),
    "application/x-indesign": "application/x-adobe-indesign application/indesign",
    "application/vnd.ms-tnef": "application/ms-tnef",
    "application/onenote": "application/msonenote",
    "application/vnd.ms-htmlhelp": "application/x-chm",
    "font/sfnt": (
        "font/ttf font/otf font/collection application/x-font-ttf application/x-font-truetype "
        "application/x-font-opentype application/x-font-otf application/font-sfnt application/vnd.ms-opentype "
        "font/opentype font/truetype application/x-font"
    ),
    "font/woff": "application/font-woff application/x-font-woff",
    "font/woff2": "application/font-woff2",
    "application/dicom": "image/dicom",
    "model/gltf-binary": "model/gltf+binary",
    "model/stl": "application/sla application/vnd.ms-pki.stl application/x-stl model/x.stl-binary model/x.stl-ascii",
    XML: "application/xml application/x-xml",
    HTML: "application/xhtml+xml text/xhtml application/xhtml",
    JSON: "text/json application/x-json text/x-json application/x-ipynb+json",
    OLE: "application/cdfv2 application/vnd.ms-office application/x-cfb application/x-ole",
    DOC: "application/x-msword application/vnd.msword application/doc",
    XLS: "application/excel application/x-excel application/x-msexcel application/xls",
    PPT: (
        "application/mspowerpoint application/powerpoint application/x-mspowerpoint application/vnd.ms-powerpoint.show "
    ),
    MSG: "application/x-msg application/msoutlook",
    "application/vnd.ms-publisher": "application/x-mspublisher",
    "application/vnd.visio": "application/x-visio application/visio",
    "application/x-hwp": "application/haansofthwp application/vnd.hancom.hwp",
}  # fmt: skip
ALIASES = {alias: name.lower() for name, aliases in _NAMES.items() for alias in aliases.split()}


@functools.lru_cache(maxsize=256)
def canonical(media_type: str) -> str:
    """Return the one name for a type and its aliases.

    It is in lower case and without parameters.
    """
    bare = media_type.partition(";")[0].strip().lower()
    return ALIASES.get(bare, bare)
