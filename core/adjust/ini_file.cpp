#include "core/adjust/ini_file.h"

#include "core/adjust/text_edit.h"

namespace zoneferry {

const std::string_view* IniSection::find(std::string_view key) const {
    const std::string_view* found = nullptr;
    for (const IniLine& line : lines) {
        if (line.key == key) found = &line.value;
    }
    return found;
}

std::string IniSection::off() const {
    std::string out = header.empty() ? std::string() : commented(header);
    for (const IniLine& line : lines) out += line.key.empty() ? std::string(line.whole) : commented(line.whole);
    return out;
}

std::vector<IniSection> parse_ini(std::string_view text) {
    std::vector<IniSection> sections(1);
    for (const std::string_view whole : lines_with_ends(text)) {
        const std::string_view content = bare(whole);
        if (content.size() > 2 && content.front() == '[' && content.back() == ']') {
            sections.push_back({content.substr(1, content.size() - 2), whole, {}});
            continue;
        }
        IniLine line{whole, {}, {}};
        const std::size_t equals = content.find('=');
        const bool is_comment = content.empty() || content.front() == '#' || content.front() == ';';
        if (!is_comment && equals != std::string_view::npos) {
            line.key = bare(content.substr(0, equals));
            line.value = bare(content.substr(equals + 1));
        }
        sections.back().lines.push_back(line);
    }
    return sections;
}

const IniSection* find_section(const std::vector<IniSection>& sections, std::string_view name) {
    for (const IniSection& section : sections) {
        if (section.name == name) return &section;
    }
    return nullptr;
}

}  // namespace zoneferry
