// Files of sections ("[Match]") and settings ("Name=eth0"), as systemd and NetworkManager write them, for editing.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace zoneferry {

struct IniLine {
    std::string_view whole;  // with its end
    std::string_view key;    // empty: a comment, an empty line, a header or none of these
    std::string_view value;
};

struct IniSection {
    std::string_view name;  // empty: before the first header
    std::string_view header;
    std::vector<IniLine> lines;

    // The value of the last setting of that name; nullptr if there is none.
    const std::string_view* find(std::string_view key) const;
    // The section with every setting commented out, its header too.
    std::string off() const;
};

std::vector<IniSection> parse_ini(std::string_view text);
const IniSection* find_section(const std::vector<IniSection>& sections, std::string_view name);

}  // namespace zoneferry
