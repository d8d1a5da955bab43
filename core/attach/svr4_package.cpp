#include "core/attach/svr4_package.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/limits.h"
#include "core/packages/svr4/pkginfo.h"

namespace zoneferry {
namespace {

constexpr std::string_view kPackages = "/var/sadm/pkg/";

Result<ParameterList> read_parameters(int root, const std::string& path, std::uint64_t bytes_max) {
    ZF_TRY(const std::string text, read_in_root(root, path, bytes_max));
    return parse_parameters(text, path);
}

// An answer may not change what the package is.
bool may_be_answered(std::string_view name) {
    constexpr std::array<std::string_view, 9> kFixed{"PATH", "NAME",     "PKG",      "PKGINST",        "VERSION",
                                                     "ARCH", "INSTDATE", "CATEGORY", "SUNW_PKG_HOLLOW"};
    return std::find(kFixed.begin(), kFixed.end(), name) == kFixed.end() && !name.starts_with("SUNW_PKG_");
}

}  // namespace

bool is_hollow(const ParameterList& parameters) {
    const std::string* value = find_parameter(parameters, "SUNW_PKG_HOLLOW");
    return value != nullptr && *value == "true";
}

bool SpooledPackage::has(std::string_view file) const {
    return std::find(install.begin(), install.end(), file) != install.end();
}

std::vector<std::string> SpooledPackage::classes() const {
    std::vector<std::string> out;
    const std::string* text = find_parameter(parameters, "CLASSES");
    for (const std::string_view word : split_words(text == nullptr ? std::string_view("none") : *text)) {
        if (std::find(out.begin(), out.end(), word) == out.end()) out.emplace_back(word);
    }
    return out;
}

Status SpooledPackage::read_map() {
    const PackageParameters map(parameters.begin(), parameters.end());
    ZF_TRY(entries, parse_pkgmap(map_text, "the spooled pkgmap of " + name, map));
    const std::vector<std::string> wanted = classes();
    std::erase_if(entries, [&](const PkgmapEntry& entry) {
        return std::find(wanted.begin(), wanted.end(), entry.klass) == wanted.end();
    });
    return {};
}

Status take_answers(ParameterList& parameters, std::string_view text, std::string_view file) {
    ZF_TRY(const ParameterList answers, parse_parameters(text, file));
    for (const auto& [name, value] : answers) {
        if (may_be_answered(name)) set_parameter(parameters, name, value);
    }
    return {};
}

Result<SpooledPackage> load_spooled_package(int host_root, const std::string& name, const std::string& version) {
    if (!is_svr4_package_name(name)) return Error(Errc::invalid, "\"" + printable(name) + "\" is no package name");
    SpooledPackage package;
    package.name = name;
    package.directory = std::string(kPackages) + name + "/save/pspool";
    ZF_TRY(package.host_parameters,
           read_parameters(host_root, std::string(kPackages) + name + "/pkginfo", kPkginfoBytesMax));
    const std::string spool = package.directory + "/" + name;
    auto parameters = read_parameters(host_root, spool + "/pkginfo", kPkginfoBytesMax);
    if (!parameters && parameters.error().code() == Errc::not_found) {
        return Error(Errc::not_found, "package " + name + " is not spooled on this host (" + spool +
                                          "), so it cannot "
                                          "be installed in a zone")
            .remedy("install the package in the global zone again");
    }
    if (!parameters) return std::move(parameters).error();
    package.parameters = std::move(*parameters);
    for (const ParameterList* one : {&package.parameters, &package.host_parameters}) {
        const std::string* found = find_parameter(*one, "VERSION");
        if (found != nullptr && *found == version) continue;
        return Error(Errc::conflict, "package " + name + " is to be brought to version " + printable(version) +
                                         ", but this host has " + (found == nullptr ? "none" : printable(*found)) +
                                         (one == &package.parameters ? " spooled" : " installed"));
    }
    package.is_hollow = is_hollow(package.parameters);
    ZF_TRY(package.map_text, read_in_root(host_root, spool + "/pkgmap", kPkgmapBytesMax));
    if (const auto install = open_in_root(host_root, spool + "/install", O_RDONLY | O_DIRECTORY)) {
        ZF_TRY(package.install, list_directory_fd(install->get()));
    }
    if (package.has("response")) {
        ZF_TRY(const std::string text, read_in_root(host_root, spool + "/install/response", kResponseBytesMax));
        ZF_TRY_STATUS(take_answers(package.parameters, text, "the response file of " + name));
    } else if (package.has("request") && !package.is_hollow) {
        return Error(Errc::not_found, "package " + name + " asks questions when it is installed, and its answers (" +
                                          spool + "/install/response) are not spooled on this host");
    }
    ZF_TRY_STATUS(package.read_map());
    return package;
}

}  // namespace zoneferry
