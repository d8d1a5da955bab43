#include "core/packages/svr4/contents.h"

#include "core/base/text.h"
#include "core/packages/database_file.h"

namespace zoneferry {
namespace {

std::string_view take_word(std::string_view& text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    const std::size_t end = text.find(' ');
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end);
    return word;
}

// How many fields stand between the class and the packages; -1: not a type of this file.
int fields_before_packages(char type) {
    switch (type) {
        case 's':
        case 'l': return 0;
        case 'd':
        case 'x':
        case 'p': return 3;
        case 'c':
        case 'b': return 5;
        case 'f':
        case 'v':
        case 'e': return 6;
        case '?': return 0;
        default: return -1;
    }
}

bool parse_entry(std::string_view line, ContentsEntry& entry) {
    std::string_view first = take_word(line);
    std::string_view type;
    if (first.starts_with('/')) {
        entry.path = first;
        type = take_word(line);
        entry.klass = take_word(line);
    } else {
        type = first;
        entry.klass = take_word(line);
        entry.path = take_word(line);
    }
    if (type.size() != 1 || entry.klass.empty() || !entry.path.starts_with('/')) return false;
    entry.type = type.front();
    const int skipped = fields_before_packages(entry.type);
    if (skipped < 0) return false;
    const bool is_link = entry.type == 's' || entry.type == 'l';
    const std::size_t equals = entry.path.find('=');
    if (is_link && equals == std::string_view::npos) return false;
    entry.path = entry.path.substr(0, equals);
    for (int i = 0; i < skipped; ++i) {
        if (take_word(line).empty()) return false;
    }
    while (line.starts_with(' ')) line.remove_prefix(1);
    entry.packages = line;
    return !line.empty();
}

bool is_letter_or_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

bool next_owner(ContentsEntry& entry, ContentsOwner& owner) {
    std::string_view word = take_word(entry.packages);
    if (word.empty()) return false;
    owner.mark = 0;
    if (!is_letter_or_digit(word.front())) {
        owner.mark = word.front();
        word.remove_prefix(1);
    }
    word = word.substr(0, word.find(':'));
    if (word.ends_with('\\')) word.remove_suffix(1);
    owner.package = word;
    return true;
}

Status for_each_contents_entry(std::string_view text, std::string_view file,
                               const std::function<Status(const ContentsEntry&)>& visit) {
    if (!text.empty() && text.back() != '\n') {
        return Error(Errc::corrupt, printable(file) + " ends in the middle of a line: it was cut off")
            .remedy("restore it from a backup of this host");
    }
    std::string_view line;
    for (std::size_t number = 1; next_line(text, line); ++number) {
        if (line.empty() || line.front() == '#' || line.front() == ':' || line.front() == ' ') continue;
        ContentsEntry entry;
        entry.line = number;
        if (!parse_entry(line, entry)) return damaged(file, number, "is no entry of a contents file");
        ZF_TRY_STATUS(visit(entry));
    }
    return {};
}

}  // namespace zoneferry
