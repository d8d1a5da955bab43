#include "core/packages/dpkg/status.h"

#include <strings.h>

#include <array>
#include <set>

#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/limits.h"

namespace zoneferry {
namespace {

constexpr std::array<std::string_view, 8> kStateNames = {"not-installed",    "config-files",    "half-installed",
                                                         "unpacked",         "half-configured", "triggers-awaited",
                                                         "triggers-pending", "installed"};

bool same_field(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
    for (const std::string_view each : words) {
        if (each == word) return true;
    }
    return false;
}

bool is_field_name(std::string_view name) {
    if (name.empty() || name.front() == '-' || name.front() == '#') return false;
    for (const char c : name) {
        if (c <= 0x20 || c >= 0x7f) return false;
    }
    return true;
}

// Policy 5.6.7 and 5.6.1: what may be in a name, with the length the manifest can carry.
bool is_package_name(std::string_view name) {
    if (name.empty() || name.size() > kPackageNameBytesMax || name.front() == '-' || name.front() == '.') return false;
    for (const char c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && c != '+' && c != '-' && c != '.' && c != '_') return false;
    }
    return true;
}

bool is_version(std::string_view version) {
    if (version.empty() || version.size() > kPackageVersionBytesMax) return false;
    for (const char c : version) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && !is_one_of(std::string_view(&c, 1), {"+", "-", ".", "~", ":", "_"})) return false;
    }
    return true;
}

class StatusParser {
public:
    StatusParser(std::string_view text, std::string_view file) : rest_(text), file_(file) {}

    Result<std::vector<DpkgPackage>> run() {
        if (rest_.empty()) return Error(Errc::corrupt, printable(file_) + " is empty").remedy(kRestore);
        if (Status whole = check_not_cut(rest_, file_); !whole) return std::move(whole).error().remedy(kRestore);
        std::string_view line;
        while (next_line_here(line)) {
            if (trim(line).empty()) {
                ZF_TRY_STATUS(end_stanza(line));
            } else {
                ZF_TRY_STATUS(take_line(line));
            }
        }
        ZF_TRY_STATUS(end_stanza(rest_));
        return std::move(packages_);
    }

private:
    static constexpr const char* kRestore =
        "compare it with /var/lib/dpkg/status-old and /var/backups/dpkg.status*, and restore the last good one";

    bool next_line_here(std::string_view& line) {
        ++line_number_;
        return next_line(rest_, line);
    }

    Status take_line(std::string_view line) {
        if (begin_ == nullptr) {
            begin_ = line.data();
            package_ = DpkgPackage{};
            package_.line = line_number_;
        }
        if (line.find('\0') != std::string_view::npos) return damaged(file_, line_number_, "holds a zero byte");
        if (line.front() == ' ' || line.front() == '\t') {
            if (seen_.empty()) return damaged(file_, line_number_, "continues a field, but none was begun");
            if (value_ != nullptr) value_->append("\n").append(line);
            return {};
        }
        const std::size_t colon = line.find(':');
        const std::string_view name = line.substr(0, colon);
        if (colon == std::string_view::npos || !is_field_name(name)) {
            return damaged(file_, line_number_, "is neither a field nor the continuation of one");
        }
        return take_field(name, trim(line.substr(colon + 1)));
    }

    Status take_field(std::string_view name, std::string_view value) {
        for (const std::string_view seen : seen_) {
            if (same_field(seen, name))
                return damaged(file_, line_number_, "field " + printable(name) + " comes twice");
        }
        seen_.push_back(name);
        value_ = nullptr;
        if (same_field(name, "Status")) return take_status(value);
        if (same_field(name, "Essential")) package_.essential = value == "yes";
        const std::array<std::pair<std::string_view, std::string*>, 11> kept = {
            {{"Package", &package_.name},
             {"Version", &package_.version},
             {"Architecture", &package_.architecture},
             {"Multi-Arch", &package_.multi_arch},
             {"Depends", &package_.depends},
             {"Pre-Depends", &package_.pre_depends},
             {"Breaks", &package_.breaks},
             {"Conflicts", &package_.conflicts},
             {"Provides", &package_.provides},
             {"Installed-Size", &package_.installed_size},
             {"Conffiles", &package_.conffiles}}};
        for (const auto& [field, target] : kept) {
            if (!same_field(field, name)) continue;
            *target = value;
            value_ = target;
        }
        return {};
    }

    Status take_status(std::string_view value) {
        const auto words = split_words(value);
        if (words.size() != 3 || !is_one_of(words[0], {"unknown", "install", "hold", "deinstall", "purge"}) ||
            !is_one_of(words[1], {"ok", "reinstreq"})) {
            return damaged(file_, line_number_, "status \"" + printable(value) + "\" is none that dpkg writes");
        }
        package_.held = words[0] == "hold";
        package_.reinstall_required = words[1] == "reinstreq";
        for (std::size_t i = 0; i < kStateNames.size(); ++i) {
            if (kStateNames[i] != words[2]) continue;
            package_.state = static_cast<DpkgState>(i);
            has_status_ = true;
            return {};
        }
        return damaged(file_, line_number_, "package state \"" + printable(words[2]) + "\" is none that dpkg knows");
    }

    // after: the text behind the stanza.
    Status end_stanza(std::string_view after) {
        if (begin_ == nullptr) return {};
        package_.stanza.assign(begin_, static_cast<std::size_t>(after.data() - begin_));
        ZF_TRY_STATUS(check_stanza());
        if (packages_.size() == kPackagesMax) {
            return damaged(file_, package_.line, "more than " + std::to_string(kPackagesMax) + " packages");
        }
        if (!names_.emplace(package_.name, package_.architecture).second) {
            return damaged(file_, package_.line, "package " + printable(package_.name) + " comes twice");
        }
        packages_.push_back(std::move(package_));
        begin_ = nullptr;
        value_ = nullptr;
        seen_.clear();
        has_status_ = false;
        return {};
    }

    Status check_stanza() const {
        if (!is_package_name(package_.name)) {
            return damaged(file_, package_.line, "this stanza has no usable package name");
        }
        const std::string who = "package " + package_.name;
        if (!has_status_) return damaged(file_, package_.line, who + " has no Status field");
        if (!package_.has_files()) return {};  // removed, or broken: nobody counts on its version
        if (!is_version(package_.version)) return damaged(file_, package_.line, who + " has no usable Version field");
        if (!is_package_name(package_.architecture)) {
            return damaged(file_, package_.line, who + " has no usable Architecture field");
        }
        return {};
    }

    std::string_view rest_;
    std::string_view file_;
    std::size_t line_number_ = 0;
    const char* begin_ = nullptr;  // of the present stanza
    DpkgPackage package_;
    std::string* value_ = nullptr;  // the field that a continuation line goes to
    std::vector<std::string_view> seen_;
    bool has_status_ = false;
    std::set<std::pair<std::string, std::string>> names_;
    std::vector<DpkgPackage> packages_;
};

}  // namespace

std::string_view dpkg_state_name(DpkgState state) { return kStateNames[static_cast<std::size_t>(state)]; }

Result<std::vector<DpkgPackage>> parse_dpkg_status(std::string_view text, std::string_view file) {
    return StatusParser(text, file).run();
}

}  // namespace zoneferry
