#include "core/packages/svr4/parameters.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/digits.h"
#include "core/packages/limits.h"

namespace zoneferry {
namespace {

// Of an installation, not of a package: pkginstall does not store them.
constexpr std::array<std::string_view, 15> kNotStored{"BASEDIR",
                                                      "CLASSES",
                                                      "CLIENT_BASEDIR",
                                                      "INST_DATADIR",
                                                      "PATH",
                                                      "INSTDATE",
                                                      "PKGSAV",
                                                      "PKGINST",
                                                      "PKG_INIT_INSTALL",
                                                      "PKG_INSTALL_ROOT",
                                                      "PKG_CAS_PASSRELATIVE",
                                                      "PKG_SRC_NOVERIFY",
                                                      "PKG_DST_QKVERIFY",
                                                      "SUNW_PKG_DIR",
                                                      "SUNW_PKG_INSTALL_ZONENAME"};

bool is_parameter_name(std::string_view name) {
    return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.' ||
               c == '+';
    });
}

bool is_patch_parameter(std::string_view name) { return name == "PATCHLIST" || name.starts_with("PATCH_INFO_"); }

// Without its quotes; nullopt for a quote that does not end.
std::optional<std::string> unquoted(std::string_view value) {
    value = trim(value);
    if (value.empty() || (value.front() != '"' && value.front() != '\'')) return std::string(value);
    const char quote = value.front();
    if (value.size() < 2 || value.back() != quote) return std::nullopt;
    value = value.substr(1, value.size() - 2);
    if (quote == '\'') return std::string(value);
    std::string out;
    for (std::size_t i = 0; i < value.size(); ++i) {
        const bool escapes = value[i] == '\\' && i + 1 < value.size() &&
                             std::string_view("\"\\$`").find(value[i + 1]) != std::string_view::npos;
        if (escapes) ++i;
        out += value[i];
    }
    return out;
}

}  // namespace

Result<ParameterList> parse_parameters(std::string_view text, std::string_view file) {
    ZF_TRY_STATUS(check_not_cut(text, file));
    ParameterList list;
    std::string_view line;
    for (std::size_t number = 1; next_line(text, line); ++number) {
        const std::size_t first = number;
        std::string whole(line);
        while (whole.ends_with('\\')) {
            whole.pop_back();
            if (!next_line(text, line)) break;
            ++number;
            whole += line;
        }
        if (trim(whole).empty() || whole.front() == '#') continue;
        const std::size_t equals = whole.find('=');
        if (equals == std::string::npos || !is_parameter_name(std::string_view(whole).substr(0, equals)))
            return damaged(file, first, "is no NAME=value");
        auto value = unquoted(std::string_view(whole).substr(equals + 1));
        const bool has_control = value && std::any_of(value->begin(), value->end(), [](char c) {
                                     return static_cast<unsigned char>(c) < 0x20 && c != '\t';
                                 });
        if (!value || has_control) return damaged(file, first, "has a value that is not one line of text");
        if (list.size() == kParametersMax) return damaged(file, first, "is one parameter too many");
        set_parameter(list, whole.substr(0, equals), std::move(*value));
    }
    return list;
}

const std::string* find_parameter(const ParameterList& list, std::string_view name) {
    const auto at = std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.first == name; });
    return at == list.end() ? nullptr : &at->second;
}

void set_parameter(ParameterList& list, std::string_view name, std::string value) {
    const auto at = std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.first == name; });
    if (at == list.end()) {
        list.emplace_back(name, std::move(value));
    } else {
        at->second = std::move(value);
    }
}

std::string installed_pkginfo(const ParameterList& spooled, const ParameterList& host,
                              const InstalledPackage& package) {
    const std::string* classes = find_parameter(spooled, "CLASSES");
    const std::string* base = find_parameter(spooled, "BASEDIR");
    std::string out = "CLASSES=" + (classes == nullptr ? "none" : *classes) + "\n";
    out += "BASEDIR=" + (base == nullptr ? "/" : *base) + "\n";
    for (const auto& [name, value] : spooled) {
        if (is_patch_parameter(name)) continue;
        if (std::find(kNotStored.begin(), kNotStored.end(), name) == kNotStored.end())
            out.append(name).append("=").append(value).append("\n");
    }
    out += "PKGINST=" + package.name + "\n";
    out += "PKGSAV=/var/sadm/pkg/" + package.name + "/save\n";
    out += "INSTDATE=" + package.install_date + "\n";
    for (const auto& [name, value] : host) {
        if (is_patch_parameter(name)) out.append(name).append("=").append(value).append("\n");
    }
    return out;
}

}  // namespace zoneferry
