// The contents file (contents.h) as a table that can be changed and written again.
//
// An owner is [mark]NAME[\][:class]; the class stands there only where it is another than the entry's. Entries without
// an owner are gone. Written: one line for each path in the order of the bytes, then who changed it last:
//
//     # Last modified by attach -u for SUNWcsr package
//     # Sun Nov 22 01:20:19 2026
//
// as pkginstall does. Other comments are not kept.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

struct ContentsRecord {
    struct Owner {
        char mark = 0;
        std::string package;
        bool edited = false;
        std::string klass;  // empty: the entry's
        bool operator==(const Owner&) const = default;
    };
    char type = 0;
    std::string klass;
    std::string target;
    std::string attributes;
    std::vector<Owner> owners;  // at least one

    bool is_owned_by(std::string_view package) const;
    const std::string& class_for(std::string_view package) const;  // "" if it is no owner
    bool operator==(const ContentsRecord&) const = default;
};

class ContentsTable {
public:
    using Map = std::map<std::string, ContentsRecord, std::less<>>;

    // Errc::corrupt with file and line, also for a path that comes twice or that nobody could have installed.
    static Result<ContentsTable> parse(std::string_view text, std::string_view file);
    // last_change: "attach -u for SUNWcsr package" and the date; both without newlines.
    std::string text(std::string_view last_change, std::string_view date) const;

    const Map& records() const { return records_; }
    const ContentsRecord* find(std::string_view path) const;

    // Takes one package off a path or off all; paths that nobody owns any more go.
    void drop(std::string_view path, std::string_view package);
    void drop_package(std::string_view package);
    // Adds an owner. Type and attributes become the new ones, but for a directory that others own already.
    // Errc::conflict when a path that others own is of another kind (file, directory, link ...).
    Status add(const std::string& path, ContentsRecord record);

private:
    Map records_;
};

}  // namespace zoneferry
