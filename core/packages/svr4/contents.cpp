#include "core/packages/svr4/contents.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/digits.h"
#include "core/packages/svr4/pkginfo.h"

namespace zoneferry {
namespace {

std::string_view take_word(std::string_view& text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    const std::size_t end = text.find(' ');
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end);
    return word;
}

bool is_letter_or_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_number(std::string_view field) { return field == "?" || (!field.empty() && all_digits(field)); }

bool is_mode(std::string_view field) {
    if (field == "?") return true;
    return !field.empty() && field.size() <= 5 && field.find_first_not_of("01234567") == std::string_view::npos;
}

bool take_numbers(std::string_view& line, int count) {
    for (int i = 0; i < count; ++i) {
        if (!is_number(take_word(line))) return false;
    }
    return true;
}

// The fields between the class and the packages; false if they are not as this type has them.
bool take_fields(char type, std::string_view& line, std::string_view& group) {
    if (type == 's' || type == 'l' || type == '?') return true;
    if (std::string_view("dxpcbfve").find(type) == std::string_view::npos) return false;
    const bool is_node = type == 'c' || type == 'b';
    if (is_node && !take_numbers(line, 2)) return false;  // major, minor
    if (!is_mode(take_word(line)) || take_word(line).empty()) return false;
    group = take_word(line);
    if (group.empty()) return false;
    const bool is_file = type == 'f' || type == 'v' || type == 'e';
    return !is_file || take_numbers(line, 3);  // size, cksum, modtime
}

bool are_owners(ContentsEntry entry) {
    ContentsOwner owner;
    int count = 0;
    for (; next_owner(entry, owner); ++count) {
        const bool known_mark =
            owner.mark == 0 || std::string_view("+-!%@#*~").find(owner.mark) != std::string_view::npos;
        if (!known_mark || !is_svr4_package_name(owner.package)) return false;
    }
    return count > 0;
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
    const bool is_link = entry.type == 's' || entry.type == 'l';
    const std::size_t equals = entry.path.find('=');
    if (is_link != (equals != std::string_view::npos)) return false;
    if (is_link) entry.target = entry.path.substr(equals + 1);
    if (is_link && entry.target.empty()) return false;
    entry.path = entry.path.substr(0, equals);
    const std::string_view before = line;
    if (!take_fields(entry.type, line, entry.group)) return false;
    entry.attributes = trim(before.substr(0, before.size() - line.size()));
    while (line.starts_with(' ')) line.remove_prefix(1);
    entry.packages = line;
    return are_owners(entry);
}

bool has_control_bytes(std::string_view line) {
    return std::any_of(line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

// A comment that would be an entry if its first byte were a '/'.
bool is_spoiled_entry(std::string_view comment) {
    std::string line(comment);
    line.front() = '/';
    ContentsEntry entry;
    return parse_entry(line, entry);
}

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
    if (Status whole = check_not_cut(text, file); !whole) {
        return std::move(whole).error().remedy("restore it from a backup of this host");
    }
    std::string_view line;
    for (std::size_t number = 1; next_line(text, line); ++number) {
        if (line.empty()) continue;
        if (line.front() == '#' || line.front() == ':' || line.front() == ' ') {
            if (is_spoiled_entry(line)) return damaged(file, number, "is an entry whose first byte was lost");
            continue;
        }
        ContentsEntry entry;
        entry.line = number;
        if (has_control_bytes(line) || !parse_entry(line, entry))
            return damaged(file, number, "is no entry of a contents file");
        ZF_TRY_STATUS(visit(entry));
    }
    return {};
}

}  // namespace zoneferry
