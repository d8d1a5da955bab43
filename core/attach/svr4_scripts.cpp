#include "core/attach/svr4_scripts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/base/files.h"
#include "core/base/text.h"
#include "core/packages/svr4/pkginfo.h"
#include "core/zone/nspawn.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kUsersBytesMax = 4U << 20U;
constexpr std::uint32_t kNoAccess = 60002;  // Solaris' user for what must not be trusted
constexpr const char* kHostScripts = "/usr/sadm/install/scripts";

// The zone's table of names; a zone without one has root only.
std::string read_names(const ZoneFiles& zone, const std::string& path) {
    const auto text = zone.read(path, kUsersBytesMax);
    return text ? *text : std::string("root:x:0:0::/:/bin/sh\n");
}

bool is_variable_name(std::string_view name) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    return !name.empty() && is_letter(name.front()) &&
           std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

Result<Svr4Scripts> Svr4Scripts::make(const UpdateJob& job) {
    Svr4Scripts scripts(job);
    const ZoneFiles zone(job.zone_root);
    scripts.passwd_ = read_names(zone, "/etc/passwd");
    scripts.group_ = read_names(zone, "/etc/group");
    scripts.users_ = parse_name_ids(scripts.passwd_);
    scripts.groups_ = parse_name_ids(scripts.group_);
    return scripts;
}

std::vector<std::string> Svr4Scripts::environment(const Svr4Script& script) const {
    ParameterList all;
    for (const auto& [name, value] : script.parameters) {
        if (is_variable_name(name)) all.emplace_back(name, value);
    }
    const std::string* base = find_parameter(script.parameters, "BASEDIR");
    const std::string client_base = base == nullptr || base->empty() ? "/" : *base;
    const std::vector<std::pair<std::string, std::string>> fixed{
        {"PKGINST", script.package},
        {"PKGSAV", "/a/var/sadm/pkg/" + script.package + "/save"},
        {"PKG_INSTALL_ROOT", "/a"},
        {"BASEDIR", "/a" + client_base},
        {"CLIENT_BASEDIR", client_base},
        {"INST_DATADIR", "/var/sadm/pkg/" + script.package + "/save/pspool"},
        {"PATH", "/sbin:/usr/sbin:/usr/bin:/usr/sadm/install/bin:/bin"},
        {"TMPDIR", "/tmp"},
        {"PKG_PROC_SCRIPT", script.path.substr(script.path.rfind('/') + 1)},
        {"SUNW_PKG_INSTALL_ZONENAME", job_->zone},
        {"LC_ALL", "C"}};
    for (const auto& [name, value] : fixed) set_parameter(all, name, value);
    if (script.is_update) set_parameter(all, "UPDATE", "yes");
    std::vector<std::string> out;
    for (const auto& [name, value] : all) out.push_back(name + "=" + value);
    return out;
}

// What a program of the host needs to run: not its /etc and not its /var, which hold its secrets.
void Svr4Scripts::add_userland(ScratchSpec& spec) const {
    for (const char* name : {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
        const std::string path = job_->host_root + "/" + name;
        struct stat info {};
        if (::lstat(path.c_str(), &info) != 0) continue;
        if (S_ISDIR(info.st_mode)) spec.binds.push_back({path, std::string("/") + name, false});
        std::array<char, 1024> target{};
        const ssize_t n = S_ISLNK(info.st_mode) ? ::readlink(path.c_str(), target.data(), target.size()) : 0;
        if (n > 0)
            spec.links.push_back({std::string("/") + name, std::string(target.data(), static_cast<std::size_t>(n))});
    }
    // On a host with Debian's userland awk and others are links by way of this directory.
    const std::string alternatives = job_->host_root + "/etc/alternatives";
    struct stat info {};
    if (::lstat(alternatives.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
        spec.binds.push_back({alternatives, "/etc/alternatives", false});
}

// The zone at /a is whole: also for scripts that run its own programs, chroot $PKG_INSTALL_ROOT.
void Svr4Scripts::add_inherited(ScratchSpec& spec) const {
    const ZoneFiles zone(job_->zone_root);
    for (const std::string& directory : job_->inherited) {
        const auto known = zone.find(directory);
        const bool is_shown = known && *known && S_ISDIR((*known)->st_mode);
        if (is_shown && path_exists(job_->host_root + directory))
            spec.binds.push_back({job_->host_root + directory, "/a" + directory, false});
    }
}

std::string Svr4Scripts::standard_script(const std::string& name) const {
    if (path_exists(job_->host_root + kHostScripts + "/" + name)) return std::string(kHostScripts) + "/" + name;
    for (const auto& [known, text] : standard_class_scripts()) {
        if (known == name) return std::string(kOurScripts) + "/" + name;
    }
    return "";
}

Status Svr4Scripts::run(const Svr4Script& script) const {
    ScratchSpec spec;
    spec.zone_root_fd = job_->zone_root;
    spec.root_is_zone = false;
    spec.id_base = uid_base(job_->zone);
    ZF_TRY(spec.limit, time_left(*job_));
    spec.warn = [this](const std::string& note) { note_once(*job_->notes, note); };
    spec.input = script.input;
    add_userland(spec);
    const std::string spool = "/var/sadm/pkg/" + script.package + "/save/pspool";
    if (path_exists(job_->host_root + spool)) spec.binds.push_back({job_->host_root + spool, spool});
    spec.binds.push_back({job_->work_directory, "/run/update"});
    add_inherited(spec);
    spec.files = {{"/etc/passwd", passwd_}, {"/etc/group", group_}};
    for (const auto& [name, text] : standard_class_scripts())
        spec.files.push_back({std::string(kOurScripts) + "/" + name, text});
    if (script.is_unprivileged) {
        spec.user = spec.group = kNoAccess;
        for (const char* name : {"nobody", "noaccess", "install"}) {
            const auto user = users_.find(name);
            if (user != users_.end() && user->second != 0) spec.user = user->second;
        }
    }
    std::string last;
    spec.log = [&](std::string_view line) {
        last = line;
        job_->log(line);
    };
    std::vector<std::string> argv{"/bin/sh", script.path};
    argv.insert(argv.end(), script.arguments.begin(), script.arguments.end());
    const std::string what =
        "script " + script.path.substr(script.path.rfind('/') + 1) + " of package " + script.package;
    auto status = run_in_scratch_zone(spec, argv, environment(script));
    if (!status) return std::move(status).error().during(what);
    if (*status == 2 && job_->notes != nullptr)
        job_->notes->push_back(what + " ended with a warning" + (last.empty() ? "" : ": " + last));
    if (*status == 0 || *status == 2 || *status == 10 || *status == 20) return {};
    return Error(Errc::io, what + " failed with status " + std::to_string(*status) + (last.empty() ? "" : ": " + last));
}

}  // namespace zoneferry
