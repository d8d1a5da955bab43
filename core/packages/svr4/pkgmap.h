// The table of contents of an SVR4 package: pkgmap(4), as it lies in save/pspool/PKG of the global zone.
//
//     : 1 2048                                          parts and size in blocks; one line, first
//     1 d|x|p CLASS PATH MODE OWNER GROUP
//     1 f|e|v CLASS PATH MODE OWNER GROUP SIZE CKSUM MODTIME
//     1 s|l   CLASS PATH=TARGET
//     1 c|b   CLASS PATH MAJOR MINOR MODE OWNER GROUP
//     1 i     NAME SIZE CKSUM MODTIME                   the package's own scripts and tables: not installed
//
// The part may be left out. PATH, MODE, OWNER and GROUP may be, or begin with, $PARAMETER. A PATH without a leading '/'
// is relative to BASEDIR. '?' leaves MODE, OWNER or GROUP as it is. Lines that begin with '#' are comments.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

using PackageParameters = std::map<std::string, std::string, std::less<>>;

struct PkgmapEntry {
    char type = 0;
    std::string klass;
    std::string path;        // absolute, plain: no "." or "..", no blank
    std::string spool_name;  // below the spooled package: "reloc/etc/x" or "root/etc/x"
    std::string target;      // of a link; of a hard link an absolute path
    std::string attributes;  // the fields between class and packages as the contents file has them; "" for a link
    std::string mode, owner, group;
    std::uint64_t size = 0;
    std::uint32_t cksum = 0;
    std::int64_t modtime = 0;

    bool is_file() const { return type == 'f' || type == 'e' || type == 'v'; }
    bool is_directory() const { return type == 'd' || type == 'x'; }
    bool is_editable() const { return type == 'e' || type == 'v'; }
};

// In the order of the file; "i" entries are checked and left out. Errc::corrupt with file and line.
Result<std::vector<PkgmapEntry>> parse_pkgmap(std::string_view text, std::string_view file,
                                              const PackageParameters& parameters);

// Absolute, at most 1,023 bytes, no empty, "." or ".." part, no blank, '=' or control byte: what a contents file can
// hold.
bool is_installable_path(std::string_view path);

}  // namespace zoneferry
