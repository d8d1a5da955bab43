#include "core/packages/svr4/pkgmap.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/digits.h"
#include "core/packages/limits.h"

namespace zoneferry {
namespace {

constexpr std::size_t kPathBytesMax = 1023;  // PATH_MAX of Solaris
constexpr std::size_t kClassBytesMax = 64;   // 12 by the book; later packages have longer ones

bool is_name_byte(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.' ||
           c == '+';
}

// The lists of packages part words by blanks, and lines by newlines; nothing else that cannot be seen belongs in them.
bool is_plain(std::string_view path) {
    return std::all_of(path.begin(), path.end(),
                       [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

bool is_class(std::string_view klass) {
    return !klass.empty() && klass.size() <= kClassBytesMax && klass.front() != '.' && klass.front() != '-' &&
           std::all_of(klass.begin(), klass.end(), is_name_byte);
}

// "$NAME" or "$NAME/rest": the value in its place; nullopt if there is no such parameter.
std::optional<std::string> expanded(std::string_view word, const PackageParameters& parameters) {
    if (!word.starts_with('$')) return std::string(word);
    const std::string_view name =
        word.substr(1, word.find('/') == std::string_view::npos ? word.npos : word.find('/') - 1);
    const auto found = parameters.find(name);
    if (found == parameters.end()) return std::nullopt;
    return found->second + std::string(word.substr(1 + name.size()));
}

bool is_owner_name(std::string_view name) {
    return name == "?" || (!name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), is_name_byte));
}

bool is_mode(std::string_view mode) {
    return mode == "?" ||
           (!mode.empty() && mode.size() <= 5 && mode.find_first_not_of("01234567") == std::string_view::npos);
}

// Without doubled or trailing slashes.
std::string tidy(std::string_view path) {
    std::string out;
    for (const std::string_view part : split(path, '/')) {
        if (!part.empty()) out.append("/").append(part);
    }
    return out.empty() ? "/" : out;
}

class PkgmapParser {
public:
    PkgmapParser(std::string_view text, std::string_view file, const PackageParameters& parameters)
        : rest_(text), file_(file), parameters_(parameters) {
        const auto base = parameters.find("BASEDIR");
        base_ = base == parameters.end() ? "/" : base->second;
    }

    Result<std::vector<PkgmapEntry>> run() {
        ZF_TRY_STATUS(check_not_cut(rest_, file_));
        std::string_view line;
        while (next_line(rest_, line)) {
            ++number_;
            if (line.empty() || line.front() == '#' || line.front() == ':') continue;
            ZF_TRY_STATUS(take(line));
        }
        return std::move(entries_);
    }

private:
    Error bad(std::string_view what) const { return damaged(file_, number_, what); }

    Status take(std::string_view line) {
        std::vector<std::string_view> words = split_words(line);
        if (!words.empty() && all_digits(words.front())) words.erase(words.begin());
        if (words.size() < 2 || words[0].size() != 1) return bad("is no entry of a pkgmap");
        PkgmapEntry entry;
        entry.type = words[0].front();
        if (entry.type == 'i') return take_information(words);
        entry.klass = words[1];
        if (!is_class(entry.klass) || words.size() < 3) return bad("has no class or no path");
        const std::size_t fields = fields_of(entry.type);
        if (fields == 0 || words.size() != fields) return bad("has another number of fields than its type");
        ZF_TRY_STATUS(take_path(words[2], entry));
        if (entry.type != 's' && entry.type != 'l') ZF_TRY_STATUS(take_attributes(words, entry));
        if (entries_.size() == kPkgmapEntriesMax) return bad("is one entry too many");
        entries_.push_back(std::move(entry));
        return {};
    }

    static std::size_t fields_of(char type) {
        switch (type) {
            case 's':
            case 'l': return 3;
            case 'd':
            case 'x':
            case 'p': return 6;
            case 'c':
            case 'b': return 8;
            case 'f':
            case 'e':
            case 'v': return 9;
            default: return 0;
        }
    }

    Status take_information(const std::vector<std::string_view>& words) const {
        const bool right = words.size() == 5 && all_digits(words[2]) && all_digits(words[3]) && all_digits(words[4]);
        if (!right) return bad("is no entry of a pkgmap");
        return {};
    }

    Status take_path(std::string_view word, PkgmapEntry& entry) const {
        const std::size_t equals = word.find('=');
        const bool is_link = entry.type == 's' || entry.type == 'l';
        if (is_link != (equals != std::string_view::npos)) return bad("a link has a target, and nothing else has");
        const auto path = expanded(word.substr(0, equals), parameters_);
        if (!path) return bad("names a parameter that the package does not have");
        const bool is_absolute = path->starts_with('/');
        entry.path = tidy(is_absolute ? *path : base_ + "/" + *path);
        entry.spool_name = (is_absolute ? "root" : "reloc") + tidy(*path);
        if (!is_installable_path(entry.path)) return bad("has a path that cannot be installed");
        if (!is_link) return {};
        entry.target = word.substr(equals + 1);
        if (entry.target.empty() || entry.target.size() > kPathBytesMax) return bad("has no target");
        if (!is_plain(entry.target)) return bad("has a target that cannot be installed");
        if (entry.type == 's') return {};
        entry.target = tidy(entry.target.starts_with('/') ? entry.target : base_ + "/" + entry.target);
        if (!is_installable_path(entry.target)) return bad("has a target that cannot be installed");
        return {};
    }

    Status take_attributes(const std::vector<std::string_view>& words, PkgmapEntry& entry) const {
        const bool is_node = entry.type == 'c' || entry.type == 'b';
        const std::size_t at = is_node ? 5 : 3;
        const auto mode = expanded(words[at], parameters_);
        const auto owner = expanded(words[at + 1], parameters_);
        const auto group = expanded(words[at + 2], parameters_);
        if (!mode || !owner || !group) return bad("names a parameter that the package does not have");
        if (!is_mode(*mode) || !is_owner_name(*owner) || !is_owner_name(*group))
            return bad("has no right mode, owner or group");
        entry.mode = *mode;
        entry.owner = *owner;
        entry.group = *group;
        if (is_node) {
            if (!all_digits(words[3]) || !all_digits(words[4])) return bad("has no device number");
            entry.attributes = std::string(words[3]) + " " + std::string(words[4]) + " ";
        }
        entry.attributes += entry.mode + " " + entry.owner + " " + entry.group;
        if (!entry.is_file()) return {};
        const auto size = parse_number<std::uint64_t>(words[6]);
        const auto cksum = parse_number<std::uint32_t>(words[7]);
        const auto modtime = parse_number<std::int64_t>(words[8]);
        if (!size || !cksum || !modtime || *modtime < 0) return bad("has no size, cksum or time");
        entry.size = *size;
        entry.cksum = *cksum;
        entry.modtime = *modtime;
        for (const std::size_t i : {6U, 7U, 8U}) entry.attributes.append(" ").append(words[i]);
        return {};
    }

    std::string_view rest_;
    std::string_view file_;
    const PackageParameters& parameters_;
    std::string base_;
    std::size_t number_ = 0;
    std::vector<PkgmapEntry> entries_;
};

}  // namespace

bool is_installable_path(std::string_view path) {
    if (!path.starts_with('/') || path.size() < 2 || path.size() > kPathBytesMax) return false;
    for (const std::string_view part : split(path.substr(1), '/')) {
        if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    }
    return is_plain(path) && path.find('=') == std::string_view::npos;
}

Result<std::vector<PkgmapEntry>> parse_pkgmap(std::string_view text, std::string_view file,
                                              const PackageParameters& parameters) {
    return PkgmapParser(text, file, parameters).run();
}

}  // namespace zoneferry
