#include "core/attach/svr4_install.h"

#include <fcntl.h>

#include <algorithm>
#include <set>

#include "core/attach/svr4_lists.h"
#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/packages/database_file.h"
#include "core/packages/limits.h"

namespace zoneferry {
namespace {

constexpr const char* kPackages = "/var/sadm/pkg/";
constexpr std::uint64_t kScriptBytesMax = 16U << 20U;
constexpr off_t kSummedBytesMax = 1LL << 30;  // the zone's file may be sparse, and its size any
const ZoneFileAttributes kData{0644, 0, 0, -1};

std::string package_directory(const std::string& package) { return kPackages + package; }

// "Nov 22 2026 01:20", as pkginfo has it.
std::string install_date() {
    const SystemClock clock;
    const time_t now = static_cast<time_t>(clock.unix_ms() / 1000);
    struct tm parts {};
    ::gmtime_r(&now, &parts);
    std::array<char, 64> text{};
    const std::size_t n = std::strftime(text.data(), text.size(), "%b %d %Y %H:%M", &parts);
    return {text.data(), n};
}

bool is_left_open(const std::string& name) { return name.empty() || name == "?"; }

// Needed for the installation alone; all others stay with the package.
bool is_dropped_after_use(std::string_view name) {
    constexpr std::array<std::string_view, 5> kDropped{"checkinstall", "request", "response", "preinstall",
                                                       "postinstall"};
    return name.starts_with("i.") || std::find(kDropped.begin(), kDropped.end(), name) != kDropped.end();
}

}  // namespace

void Svr4Installer::give_to_root(const PkgmapEntry& entry, const std::string& who, std::uint32_t& id,
                                 mode_t& mode) const {
    id = 0;
    mode &= ~mode_t{S_ISUID | S_ISGID};
    if (!told_.insert(who).second || job_.notes == nullptr) return;
    job_.notes->push_back("the " + printable(who) + " is unknown in the zone: " + printable(entry.path) +
                          ", and what else is its, belongs to root there, without set-id bits");
}

ZoneFileAttributes Svr4Installer::attributes_of(const PkgmapEntry& entry, const struct stat& from) const {
    ZoneFileAttributes out{from.st_mode & 07777U, from.st_uid, from.st_gid, -1};
    if (const auto mode = parse_number<mode_t>(entry.mode, 8)) out.mode = *mode & 07777U;
    const auto user = scripts_.users().find(entry.owner);
    const auto group = scripts_.groups().find(entry.group);
    if (user != scripts_.users().end())
        out.uid = user->second;
    else if (!is_left_open(entry.owner))
        give_to_root(entry, "owner " + entry.owner, out.uid, out.mode);
    if (group != scripts_.groups().end())
        out.gid = group->second;
    else if (!is_left_open(entry.group))
        give_to_root(entry, "group " + entry.group, out.gid, out.mode);
    if (entry.is_file()) out.modtime = entry.modtime;
    return out;
}

Status Svr4Installer::check(SpooledPackage& package, bool is_update) const {
    if (package.is_hollow || !package.has("checkinstall")) return {};
    // It adds its answers to this file. Below the zone's root, as the scratch zone's own memory goes with it.
    const std::string answers = "/var/sadm/install/.response." + package.name;
    ZF_TRY_STATUS(zone_.put_text(answers, "", {0666, 0, 0, -1}));
    Svr4Script script{package.name,
                      package.directory + "/" + package.name + "/install/checkinstall",
                      {"/a" + answers},
                      "",
                      package.parameters,
                      is_update,
                      true};
    const Status done = scripts_.run(script);
    auto text = zone_.read(answers, kResponseBytesMax);
    ZF_TRY_STATUS(zone_.remove(answers));
    if (!done) return done;
    if (!text) return std::move(text).error();
    ZF_TRY_STATUS(take_answers(package.parameters, *text, "the answers of checkinstall of " + package.name));
    return package.read_map();
}

bool Svr4Installer::has_removal_script(const std::string& package, const std::string& klass) const {
    const auto own = zone_.find(package_directory(package) + "/install/r." + klass);
    return (own && own->has_value()) || !scripts_.standard_script("r." + klass).empty();
}

Status Svr4Installer::run_removal(const std::string& package) const {
    const std::string directory = package_directory(package);
    ZF_TRY(const std::string text, zone_.read(directory + "/pkginfo", kPkginfoBytesMax));
    ZF_TRY(const ParameterList parameters, parse_parameters(text, "pkginfo of " + package + " in the zone"));
    if (is_hollow(parameters)) return {};
    Svr4Script script{package, "", {}, "", parameters, false, false};
    const auto run_if_there = [&](const std::string& name, bool may_be_standard) -> Status {
        ZF_TRY(const std::optional<struct stat> own, zone_.find(directory + "/install/" + name));
        script.path = own ? "/a" + directory + "/install/" + name
                          : (may_be_standard ? scripts_.standard_script(name) : std::string());
        if (script.path.empty()) return {};
        return scripts_.run(script);
    };
    ZF_TRY_STATUS(run_if_there("preremove", false));
    std::map<std::string, std::string> destinations;  // class: the lines, deepest first
    for (const auto& [path, record] : contents_.records()) {
        const bool is_file = record.type == 'f' || record.type == 'e' || record.type == 'v';
        if (!is_file || !record.is_owned_by(package) || is_inherited(job_.inherited, path)) continue;
        // What others have as well stays, but for their editable files: every owner has a part in these.
        if (record.owners.size() > 1 && record.type != 'e') continue;
        const std::string& klass = record.class_for(package);
        if (klass != "none") destinations[klass].insert(0, "/a" + path + "\n");
    }
    const std::string* order = find_parameter(parameters, "CLASSES");
    std::vector<std::string_view> classes = split_words(order == nullptr ? std::string_view() : *order);
    std::reverse(classes.begin(), classes.end());
    for (const std::string_view klass : classes) {
        const auto lines = destinations.find(std::string(klass));
        if (lines == destinations.end()) continue;
        script.input = lines->second;
        script.arguments = {"ENDOFCLASS"};
        ZF_TRY_STATUS(run_if_there("r." + std::string(klass), true));
    }
    script.input.clear();
    script.arguments.clear();
    return run_if_there("postremove", false);
}

Status Svr4Installer::forget(const std::string& package) {
    contents_.drop_package(package);
    return zone_.remove_tree(package_directory(package));
}

std::string Svr4Installer::install_script(const SpooledPackage& package, const std::string& klass) const {
    if (klass == "none") return "";
    if (package.has("i." + klass)) return package.directory + "/" + package.name + "/install/i." + klass;
    return scripts_.standard_script("i." + klass);
}

Status Svr4Installer::store(const SpooledPackage& package) const {
    const std::string directory = package_directory(package.name);
    ZF_TRY_STATUS(zone_.remove_tree(directory));
    ZF_TRY_STATUS(zone_.make_directory(directory, {0755, 0, 0, -1}));
    for (const std::string& name : package.install) {
        const bool for_hollow = name == "depend" || name == "copyright";
        if (is_dropped_after_use(name) || (package.is_hollow && !for_hollow)) continue;
        const std::string source = package.directory + "/" + package.name + "/install/" + name;
        ZF_TRY(const std::string text, read_in_root(host_root_, source, kScriptBytesMax));
        ZF_TRY_STATUS(zone_.put_text(directory + "/install/" + name, text, kData));
    }
    ZF_TRY_STATUS(zone_.make_directory(directory + "/save", {0755, 0, 0, -1}));
    const std::string text =
        installed_pkginfo(package.parameters, package.host_parameters, {package.name, install_date()});
    return zone_.put_text(directory + "/pkginfo", text, kData);
}

Status Svr4Installer::record(const SpooledPackage& package) {
    for (const PkgmapEntry& entry : package.entries) {
        ContentsRecord record{entry.type, entry.klass, entry.target, entry.attributes, {{0, package.name, false, ""}}};
        ZF_TRY_STATUS(contents_.add(entry.path, std::move(record)));
    }
    return {};
}

// What the scripts and the zone's administrator made of the files is what the contents file says.
Status Svr4Installer::record_edited(const SpooledPackage& package) {
    for (const PkgmapEntry& entry : package.entries) {
        if (!entry.is_file() || is_inherited(job_.inherited, entry.path)) continue;
        ZF_TRY(const std::optional<struct stat> known, zone_.find(entry.path));
        if (!known || !S_ISREG(known->st_mode)) {
            if (entry.klass == "none" && !entry.is_editable()) {
                return Error(Errc::corrupt, printable(entry.path) + " of package " + package.name +
                                                " is not in the zone after its installation");
            }
            contents_.drop(entry.path, package.name);  // a class script, or the administrator, did not want it
            continue;
        }
        if (!entry.is_editable()) continue;
        if (known->st_size > kSummedBytesMax)
            return Error(Errc::invalid,
                         printable(entry.path) + " in the zone is too big for an editable file (more than 1 GiB)");
        ZF_TRY(const UniqueFd fd, zone_.open_regular(entry.path));
        ZF_TRY(const std::uint32_t sum, sysv_sum(fd.get()));
        ContentsRecord record{entry.type,
                              entry.klass,
                              "",
                              entry.mode + " " + entry.owner + " " + entry.group + " " +
                                  std::to_string(known->st_size) + " " + std::to_string(sum) + " " +
                                  std::to_string(known->st_mtim.tv_sec),
                              {{0, package.name, false, ""}}};
        ZF_TRY_STATUS(contents_.add(entry.path, std::move(record)));
    }
    return {};
}

Result<UniqueFd> Svr4Installer::open_spooled(const SpooledPackage& package, const PkgmapEntry& entry) const {
    const std::string path = package.directory + "/" + package.name + "/" + entry.spool_name;
    auto fd = open_in_root(host_root_, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) {
        return Error(Errc::not_found,
                     "package " + package.name + " has " + printable(entry.path) +
                         ", but this host did not spool it (" + printable(path) + ")",
                     fd.error().system_error());
    }
    return fd;
}

Status Svr4Installer::put_if_missing(const SpooledPackage& package, const PkgmapEntry& entry) const {
    ZF_TRY(const std::optional<struct stat> known, zone_.find(entry.path));
    if (known) return {};
    ZF_TRY(const UniqueFd source, open_spooled(package, entry));
    ZF_TRY(const struct stat info, stat_fd(source.get()));
    return zone_.put_file(entry.path, source.get(), attributes_of(entry, info));
}

Status Svr4Installer::install_class(const SpooledPackage& package, const std::string& klass, bool is_update) const {
    const std::string script = install_script(package, klass);
    std::string lines;
    bool any_of_class = false;
    bool any_here = false;
    std::vector<const PkgmapEntry*> made;
    for (const PkgmapEntry& entry : package.entries) {
        if (entry.klass != klass) continue;
        any_of_class = true;
        if (is_inherited(job_.inherited, entry.path)) continue;
        any_here = true;
        if (!entry.is_file()) continue;
        if (script.empty()) {
            if (entry.is_editable()) ZF_TRY_STATUS(put_if_missing(package, entry));
            continue;
        }
        ZF_TRY(const std::optional<struct stat> known, zone_.find(entry.path));
        if (!known) made.push_back(&entry);
        if (entry.is_editable()) {
            ZF_TRY(const UniqueFd there, open_spooled(package, entry));
        }
        const std::string source = entry.is_editable() ? package.directory + "/" + package.name + "/" + entry.spool_name
                                                       : "/run/update/" + package.name + "/" + entry.spool_name;
        lines += source + " /a" + entry.path + "\n";
    }
    if (script.empty() || (any_of_class && !any_here)) return {};
    ZF_TRY_STATUS(scripts_.run({package.name, script, {"ENDOFCLASS"}, lines, package.parameters, is_update, false}));
    for (const PkgmapEntry* entry : made) {
        ZF_TRY(const std::optional<struct stat> now, zone_.find(entry->path));
        if (!now || !S_ISREG(now->st_mode)) continue;
        ZoneFileAttributes attributes = attributes_of(*entry, *now);
        attributes.modtime = -1;
        ZF_TRY_STATUS(zone_.set_attributes(entry->path, attributes));
    }
    return {};
}

Status Svr4Installer::run_own(const SpooledPackage& package, const std::string& name, bool is_update) const {
    if (!package.has(name)) return {};
    const std::string path = package.directory + "/" + package.name + "/install/" + name;
    return scripts_.run({package.name, path, {}, "", package.parameters, is_update, false});
}

Status Svr4Installer::install(const SpooledPackage& package, bool is_update) {
    ZF_TRY_STATUS(store(package));
    if (package.is_hollow) return {};
    ZF_TRY_STATUS(record(package));
    ZF_TRY_STATUS(run_own(package, "preinstall", is_update));
    for (const std::string& klass : package.classes()) ZF_TRY_STATUS(install_class(package, klass, is_update));
    ZF_TRY_STATUS(record_edited(package));
    const bool all_inherited = !package.entries.empty() &&
                               std::all_of(package.entries.begin(), package.entries.end(),
                                           [&](const auto& entry) { return is_inherited(job_.inherited, entry.path); });
    if (all_inherited) return {};
    return run_own(package, "postinstall", is_update);
}

}  // namespace zoneferry
