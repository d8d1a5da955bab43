// The SVR4 contents file: every installed path and the packages that own it, sorted by path.
//
//     /path ftype class ...                        fields parted by a blank; '#', ':' or a blank begin a comment
//     s l      /path=target s class PKG...         packages from field 4
//     d x p    mode owner group PKG...             from 7
//     c b      major minor mode owner group PKG... from 9
//     f v e    mode owner group size cksum modtime PKG...   from 10
//
// An old form begins with the ftype: "f class /path ...". A package is [mark]NAME[\][:class]; a mark other
// than a letter or digit (one of "+-!%@#*~") tells of an operation that is under way or was broken off. A mode is
// octal; device numbers, size, cksum and modtime are decimal; any of these may be '?'.
//
// Every line is checked, also those out of scope: a damaged byte that joins two lines or fields, or that turns an entry
// into a comment, is an error and not a package that went missing.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace zoneferry {

struct ContentsEntry {
    std::string_view path;
    char type = 0;
    std::string_view klass;
    std::string_view target;      // of a link
    std::string_view attributes;  // the fields between class and packages, as they stand; empty for a link
    std::string_view packages;    // the owners, still joined by blanks
    std::string_view group;       // empty: a link has none
    std::size_t line = 0;
};

struct ContentsOwner {
    std::string_view package;
    char mark = 0;  // 0: none
};

// Takes the next owner off entry.packages; false when there is none left.
bool next_owner(ContentsEntry& entry, ContentsOwner& owner);

// Goes through all entries without copying; visit may end it by returning an Error. Every line is checked: a
// file cut off or with a line that is none of the above is Errc::corrupt with its number.
Status for_each_contents_entry(std::string_view text, std::string_view file,
                               const std::function<Status(const ContentsEntry&)>& visit);

}  // namespace zoneferry
