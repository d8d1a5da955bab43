#include "core/packages/svr4/pkginfo.h"

#include <algorithm>
#include <map>

#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/digits.h"
#include "core/packages/limits.h"
#include "core/packages/svr4/version.h"

namespace zoneferry {
namespace {

constexpr std::string_view kPatchInfo = "PATCH_INFO_";

struct PatchOrder {
    bool operator()(std::string_view a, std::string_view b) const { return patch_base_less(a, b); }
};
using PatchMap = std::map<std::string, Patch, PatchOrder>;

bool is_patch_id(std::string_view id) {
    if (id.empty() || id.size() > kPatchIdBytesMax || id.front() == '-') return false;
    for (const char c : id) {
        const bool plain = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!plain && c != '-' && c != '_' && c != '.' && c != '+') return false;
    }
    return true;
}

// What a shell takes, and what patch records have in their names.
bool is_parameter_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.' ||
               c == '+';
    });
}

bool has_control_bytes(std::string_view line) {
    return std::any_of(line.begin(), line.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\t'; });
}

bool ends_obsoletes(std::string_view word) {
    return word == "Installed:" || word == "From:" || word == "Requires:" || word == "Incompatibles:";
}

std::vector<std::string> obsoletes_of(std::string_view record) {
    std::vector<std::string> bases;
    bool collecting = false;
    for (const std::string_view word : split_words(record)) {
        if (word == "Obsoletes:")
            collecting = true;
        else if (ends_obsoletes(word))
            collecting = false;
        else if (collecting)
            bases.push_back(PatchId::parse(word).base);
    }
    std::sort(bases.begin(), bases.end(), PatchOrder());
    bases.erase(std::unique(bases.begin(), bases.end()), bases.end());
    return bases;
}

class PkginfoParser {
public:
    PkginfoParser(std::string_view text, std::string_view file) : rest_(text), file_(file) {}

    Result<Svr4Package> run() {
        if (rest_.empty()) return Error(Errc::corrupt, printable(file_) + " is empty");
        ZF_TRY_STATUS(check_not_cut(rest_, file_));
        std::string joined;
        std::string_view line;
        while (take_logical_line(joined, line)) ZF_TRY_STATUS(take_parameter(line));
        if (package_.version.empty()) return Error(Errc::corrupt, printable(file_) + " has no VERSION");
        if (package_.all_zones && package_.this_zone) {
            return Error(Errc::corrupt, printable(file_) + " says both SUNW_PKG_ALLZONES and SUNW_PKG_THISZONE");
        }
        for (auto& [base, patch] : patches_) package_.patches.push_back(std::move(patch));
        return std::move(package_);
    }

private:
    // joined holds the line when it was continued; else line points into the text.
    bool take_logical_line(std::string& joined, std::string_view& line) {
        line_number_ = next_number_;
        ++next_number_;
        if (!next_line(rest_, line)) return false;
        if (!line.ends_with('\\')) return true;
        joined.clear();
        while (line.ends_with('\\')) {
            joined.append(line.substr(0, line.size() - 1));
            ++next_number_;
            if (!next_line(rest_, line)) line = "";
        }
        joined.append(line);
        line = joined;
        return true;
    }

    Status take_parameter(std::string_view line) {
        if (line.empty() || line.front() == '#') return {};
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos || !is_parameter_name(line.substr(0, equals)) || has_control_bytes(line)) {
            return damaged(file_, line_number_, "is no NAME=value");
        }
        for (const std::string_view flag : {"SUNW_PKG_ALLZONES=true", "SUNW_PKG_THISZONE=true"}) {
            const std::size_t at = line.find(flag);
            const bool is_joined = at == 0 && line.find('=', flag.size()) != std::string_view::npos;
            if (!is_joined && (at == 0 || at == std::string_view::npos)) continue;
            return damaged(file_, line_number_, "holds " + std::string(flag) + " together with something else");
        }
        if (line == "SUNW_PKG_ALLZONES=true") package_.all_zones = true;
        if (line == "SUNW_PKG_THISZONE=true") package_.this_zone = true;
        if (line == "SUNW_PKG_HOLLOW=true") package_.hollow = true;
        const std::string_view name = line.substr(0, equals);
        const std::string_view value = line.substr(equals + 1);
        if (name == "VERSION") return take_version(value);
        if (name.starts_with(kPatchInfo)) return take_patch(name.substr(kPatchInfo.size()), value);
        return {};
    }

    Status take_version(std::string_view value) {
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
        value = trim(value);
        if (value.empty() || value.size() > kPackageVersionBytesMax || printable(value) != value) {
            return damaged(file_, line_number_, "VERSION is empty, too long or no text");
        }
        if (!package_.version.empty()) return damaged(file_, line_number_, "VERSION comes twice");
        package_.version = value;
        return {};
    }

    Status take_patch(std::string_view id, std::string_view record) {
        if (!is_patch_id(id)) return damaged(file_, line_number_, "patch id \"" + printable(id) + "\" is none");
        if (!trim(record).starts_with("Installed:")) return {};
        Patch patch{PatchId::parse(id), obsoletes_of(record)};
        for (const std::string& base : patch.obsoletes) {
            if (!is_patch_id(base)) {
                return damaged(file_, line_number_, "obsoletes \"" + printable(base) + "\", which is no patch");
            }
        }
        if (patches_.size() == kPatchesMax || patch.obsoletes.size() > kObsoletesMax) {
            return damaged(file_, line_number_, "too many patches");
        }
        const auto [at, is_new] = patches_.try_emplace(patch.id.base, patch);
        if (!is_new && compare_patch_revisions(patch.id.revision, at->second.id.revision) > 0) {
            at->second = std::move(patch);
        }
        return {};
    }

    std::string_view rest_;
    std::string_view file_;
    std::size_t line_number_ = 0;
    std::size_t next_number_ = 1;
    Svr4Package package_;
    PatchMap patches_;
};

}  // namespace

bool patch_base_less(std::string_view a, std::string_view b) {
    if (all_digits(a) != all_digits(b)) return all_digits(a);
    if (all_digits(a)) {
        if (const auto order = compare_digits(a, b); order != 0) return order < 0;
    }
    return a < b;
}

bool is_svr4_package_name(std::string_view name) {
    if (name.empty() || name.size() > kPackageNameBytesMax) return false;
    for (const char c : name) {
        const bool plain = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!plain && c != '-' && c != '+' && c != '.' && c != '_') return false;
    }
    return name.front() != '.' && name.front() != '-';
}

Result<Svr4Package> parse_pkginfo(std::string_view text, std::string_view file) {
    return PkginfoParser(text, file).run();
}

std::vector<std::string> parse_depend(std::string_view text) {
    std::vector<std::string> packages;
    std::string_view line;
    while (next_line(text, line)) {
        const auto words = split_words(line);
        if (line.starts_with("P") && words.size() >= 2 && words[0] == "P") packages.emplace_back(words[1]);
    }
    return packages;
}

}  // namespace zoneferry
