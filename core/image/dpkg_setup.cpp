#include "core/image/dpkg_setup.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/image/file_copy.h"
#include "core/image/limits.h"
#include "core/image/path_rules.h"

namespace zoneferry {
namespace {

const std::string kDpkg = "var/lib/dpkg";

Result<std::string> read_below(int directory, const std::string& name) {
    ZF_TRY(const UniqueFd file, open_beneath(directory, name, O_RDONLY | O_NONBLOCK));
    return read_to_end(file.get(), kHostFileBytesMax);
}

// A directory of the host's database, or none.
UniqueFd database_directory(int host_root, const std::string& name) {
    auto opened = open_in_root(host_root, "/" + kDpkg + "/" + name, O_RDONLY | O_DIRECTORY);
    return opened ? *std::move(opened) : UniqueFd();
}

Status write_status(const HostPackagesPlan& plan, ImageWriter& writer) {
    std::string status;
    for (const DpkgPackage* package : plan.packages) status += package->stanza + "\n";
    ZF_TRY_STATUS(writer.text_file(kDpkg + "/status", status, 0644));
    return writer.text_file(kDpkg + "/available", "", 0644);
}

Status copy_info(const DpkgDatabase& database, const HostPackagesPlan& plan, ImageWriter& writer) {
    std::set<std::string, std::less<>> wanted;
    for (const DpkgPackage* package : plan.packages) wanted.insert(package->info_name());
    FileCopier copier(writer);
    for (const std::string& name : database.info_names()) {
        const std::string_view package = std::string_view(name).substr(0, name.rfind('.'));
        if (name != "format" && !wanted.contains(package)) continue;
        struct stat info {};
        if (::fstatat(database.info_directory(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
            return system_error("look at the host's dpkg info file " + printable(name), errno);
        }
        ZF_TRY(const CopyOutcome done, copier.copy(database.info_directory(), name, info, kDpkg + "/info/" + name));
        (void)done;
    }
    return {};
}

Status copy_triggers(int host_root, const HostPackagesPlan& plan, ImageWriter& writer) {
    const UniqueFd triggers = database_directory(host_root, "triggers");
    ZF_TRY_STATUS(writer.directory(kDpkg + "/triggers", {}));
    // Without it dpkg takes the database for one from before there were triggers, and pulls every one of them.
    ZF_TRY_STATUS(writer.text_file(kDpkg + "/triggers/Unincorp", "", 0644));
    if (!triggers) return {};
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(triggers.get()));
    for (const std::string& name : names) {
        if (name == "Lock" || name == "Unincorp") continue;
        ZF_TRY(const std::string text, read_below(triggers.get(), name));
        const std::string kept = filter_triggers(text, plan);
        if (!kept.empty()) ZF_TRY_STATUS(writer.text_file(kDpkg + "/triggers/" + name, kept, 0644));
    }
    return {};
}

// Small files of the database that hold for every root with the same packages.
Status copy_plain_files(int host_root, ImageWriter& writer) {
    const UniqueFd database = database_directory(host_root, "");
    for (const char* name : {"arch", "diversions", "statoverride"}) {
        auto text = read_below(database.get(), name);
        if (text) {
            ZF_TRY_STATUS(writer.text_file(kDpkg + "/" + name, *text, 0644));
        } else if (text.error().system_error() != ENOENT) {
            return std::move(text).error().during("the host's dpkg database");
        }
    }
    return {};
}

}  // namespace

Status write_dpkg_database(int host_root, const DpkgDatabase& database, const HostPackagesPlan& plan,
                           ImageWriter& writer) {
    if (!writer.contains(kDpkg)) ZF_TRY_STATUS(writer.directory(kDpkg, {}));
    for (const char* name : {"info", "updates", "parts", "alternatives"}) {
        if (!writer.contains(kDpkg + "/" + name)) ZF_TRY_STATUS(writer.directory(kDpkg + "/" + name, {}));
    }
    ZF_TRY_STATUS(write_status(plan, writer));
    ZF_TRY_STATUS(copy_info(database, plan, writer));
    ZF_TRY_STATUS(copy_plain_files(host_root, writer));
    return copy_triggers(host_root, plan, writer);
}

std::string filter_triggers(std::string_view text, const HostPackagesPlan& plan) {
    const auto is_kept = [&](std::string_view line) {
        std::string_view package = line.substr(line.rfind(' ') == std::string_view::npos ? 0 : line.rfind(' ') + 1);
        package = package.substr(0, package.find('/'));
        package = package.substr(0, package.find(':'));
        return std::any_of(plan.packages.begin(), plan.packages.end(),
                           [&](const DpkgPackage* one) { return one->name == package; });
    };
    std::string kept;
    for (const std::string_view line : split(text, '\n')) {
        if (!line.empty() && is_kept(line)) kept += std::string(line) + "\n";
    }
    return kept;
}

Alternative parse_alternative(const std::string& name, std::string_view text) {
    Alternative alternative{name, {}};
    const std::vector<std::string_view> lines = split(text, '\n');
    if (lines.size() < 2) return alternative;
    alternative.links.emplace_back(name, lines[1]);
    for (std::size_t at = 2; at + 1 < lines.size() && !lines[at].empty(); at += 2) {
        alternative.links.emplace_back(lines[at], lines[at + 1]);
    }
    return alternative;
}

namespace {

// Makes /etc/alternatives/NAME and the link to it, as they are on the host.
Status write_links(int host_root, const Alternative& alternative, const HostPackagesPlan& plan, ImageWriter& writer) {
    for (const auto& [name, link] : alternative.links) {
        for (const std::string& path : {"etc/alternatives/" + name, zone_path(plan, link)}) {
            std::string target(kImagePathBytesMax, '\0');
            const auto parent = open_in_root(host_root, "/" + std::string(parent_path(path)), O_RDONLY | O_DIRECTORY);
            if (!parent || is_inherited(plan, path)) continue;
            const ssize_t length =
                ::readlinkat(parent->get(), std::string(last_part(path)).c_str(), target.data(), target.size());
            if (length <= 0) continue;
            target.resize(static_cast<std::size_t>(length));
            auto checked = image_path(path);
            if (checked && !writer.contains(*checked)) ZF_TRY_STATUS(writer.symlink(*checked, target, {}));
        }
    }
    return {};
}

// The zone has the program that the alternative points to now.
bool is_choice_there(int host_root, const std::string& name, const HostPackagesPlan& plan, const ImageWriter& writer) {
    const auto directory = open_in_root(host_root, "/etc/alternatives", O_RDONLY | O_DIRECTORY);
    std::string target(kImagePathBytesMax, '\0');
    const ssize_t length =
        directory ? ::readlinkat(directory->get(), name.c_str(), target.data(), target.size()) : ssize_t{-1};
    if (length <= 0) return false;
    target.resize(static_cast<std::size_t>(length));
    const std::string path = zone_path(plan, target);
    return is_inherited(plan, path) || writer.contains(path);
}

}  // namespace

Status write_alternatives(int host_root, const HostPackagesPlan& plan, ImageWriter& writer) {
    if (!writer.contains("etc/alternatives")) ZF_TRY_STATUS(writer.directory("etc/alternatives", {}));
    const UniqueFd records = database_directory(host_root, "alternatives");
    if (!records) return {};
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(records.get()));
    for (const std::string& name : names) {
        ZF_TRY(const std::string text, read_below(records.get(), name));
        if (!is_choice_there(host_root, name, plan, writer)) continue;
        Status done = writer.text_file(kDpkg + "/alternatives/" + name, text, 0644);
        if (done) done = write_links(host_root, parse_alternative(name, text), plan, writer);
        if (!done) return std::move(done).error().during("the alternative " + printable(name));
    }
    return {};
}

}  // namespace zoneferry
