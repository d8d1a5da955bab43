#include "core/attach/dpkg_repack.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <set>

#include "core/attach/deb_file.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/packages/database_file.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kAccountsBytesMax = 16ULL << 20;
constexpr std::uint64_t kInfoFileBytesMax = 64ULL << 20;
constexpr std::uint64_t kConffileBytesMax = 16ULL << 20;
constexpr std::size_t kLinkBytesMax = 4095;
constexpr std::array kControlFiles = {"preinst",  "postinst", "prerm",   "postrm",  "config",
                                      "triggers", "shlibs",   "symbols", "md5sums", "templates"};

std::string parent_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

// Numbers of accounts and their names, from passwd or group.
std::map<std::uint32_t, std::string> account_names(int root, const std::string& path) {
    std::map<std::uint32_t, std::string> names;
    const auto text = read_in_root(root, path, kAccountsBytesMax);
    if (!text) return names;
    for (const std::string_view line : split(*text, '\n')) {
        const auto fields = split(line, ':');
        if (fields.size() < 3) continue;
        if (const auto id = parse_number<std::uint32_t>(fields[2])) names.try_emplace(*id, fields[0]);
    }
    return names;
}

// "MD5  PATH" lines: of md5sums with relative paths, of Conffiles the other way round.
std::map<std::string, std::string, std::less<>> md5sums_of(std::string_view text) {
    std::map<std::string, std::string, std::less<>> sums;
    for (const std::string_view line : split(text, '\n')) {
        const std::size_t blank = line.find("  ");
        if (blank != std::string_view::npos) sums["/" + std::string(line.substr(blank + 2))] = line.substr(0, blank);
    }
    return sums;
}

std::map<std::string, std::string, std::less<>> conffiles_of(const DpkgPackage& package) {
    std::map<std::string, std::string, std::less<>> sums;
    for (const std::string_view line : split(package.conffiles, '\n')) {
        const auto words = split_words(line);
        if (words.size() == 2) sums[std::string(words[0])] = words[1];
    }
    return sums;
}

Result<std::string> md5_at_start(int fd) {
    auto md5 = md5_of_file(fd);
    if (md5 && ::lseek(fd, 0, SEEK_SET) != 0) return system_error("read a file again", errno);
    return md5;
}

class Repacker {
public:
    Repacker(const RepackSource& source, const DpkgPackage& package)
        : source_(source), package_(package), conffiles_(conffiles_of(package)) {}

    Result<PackedDeb> run(int to) {
        ZF_TRY(list_, source_.host.file_list(package_));
        ZF_TRY_STATUS(read_diversions());
        for (const std::string& path : list_) parents_.insert(parent_of(path));
        users_ = account_names(source_.host_root, "/etc/passwd");
        groups_ = account_names(source_.host_root, "/etc/group");
        if (const auto sums = info_file("md5sums")) md5sums_ = md5sums_of(*sums);
        ZF_TRY_STATUS(find_pristine_conffiles());
        ZF_TRY(DebWriter writer, DebWriter::begin(to, control()));
        TarEntry top;
        top.name = "./";
        top.kind = TarKind::directory;
        top.permissions = 0755;
        ZF_TRY_STATUS(writer.add(top));
        for (const std::string& path : list_) {
            Status added = add(writer, path);
            if (!added) return std::move(added).error().during("packing " + printable(path));
        }
        ZF_TRY_STATUS(writer.finish());
        return std::move(packed_);
    }

private:
    Status read_diversions() {
        ZF_TRY(const std::vector<DpkgDiversion> all, source_.host.diversions());
        for (const DpkgDiversion& diversion : all) {
            if (diversion.package != package_.name) diverted_[diversion.original] = diversion.to;
        }
        return {};
    }

    std::optional<std::string> info_file(const std::string& kind) const {
        auto text = read_in_directory(source_.host.info_directory(), package_.info_name() + "." + kind, kind,
                                      kInfoFileBytesMax);
        return text ? std::optional<std::string>(*std::move(text)) : std::nullopt;
    }

    std::vector<ControlFile> control() const {
        std::vector<ControlFile> files{{"control", control_from_stanza(package_.stanza), 0644}};
        for (const std::string kind : kControlFiles) {
            auto text = info_file(kind);
            if (!text) continue;
            const bool is_script = text->starts_with("#!") || text->starts_with(
                                                                  "\x7f"
                                                                  "ELF");
            files.push_back({kind, *std::move(text), is_script ? mode_t{0755} : mode_t{0644}});
        }
        std::string names;
        for (const auto& [path, content] : pristine_) names += path + "\n";
        if (!names.empty()) files.push_back({"conffiles", names, 0644});
        return files;
    }

    // ---- configuration files ------------------------------------------------------------------------------

    Status find_pristine_conffiles() {
        for (const auto& [path, md5] : conffiles_) {
            const std::string place = where_it_lies(path);
            std::optional<std::string> content;
            for (const int root : {source_.host_root, source_.zone_root}) {
                for (const char* suffix : {"", ".dpkg-dist", ".dpkg-new"}) {
                    if (!content) content = content_with(root, place + suffix, md5);
                }
            }
            if (content) {
                pristine_[path] = *std::move(content);
            } else {
                const bool is_there = open_in_root(source_.zone_root, place, O_PATH | O_NOFOLLOW).has_value();
                packed_.notes.push_back("configuration file " + printable(path) + " of package " + package_.name +
                                        " was changed on this host and what the package shipped is nowhere here: " +
                                        (is_there ? "the zone keeps its own" : "it is missing in the zone"));
            }
        }
        return {};
    }

    static std::optional<std::string> content_with(int root, const std::string& path, const std::string& md5) {
        const auto file = open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
        if (!file) return std::nullopt;
        const auto info = stat_fd(file->get());
        if (!info || !S_ISREG(info->st_mode) || static_cast<std::uint64_t>(info->st_size) > kConffileBytesMax)
            return {};
        const auto found = md5_at_start(file->get());
        if (!found || *found != md5) return std::nullopt;
        auto content = read_to_end(file->get(), kConffileBytesMax);
        return content ? std::optional<std::string>(*std::move(content)) : std::nullopt;
    }

    // ---- what is installed ----------------------------------------------------------------------------------

    std::string where_it_lies(const std::string& listed) const {
        const auto found = diverted_.find(listed);
        return found == diverted_.end() ? listed : found->second;
    }

    Result<int> host_directory(const std::string& path) {
        if (!directory_ || directory_path_ != path) {
            ZF_TRY(directory_, open_in_root(source_.host_root, path, O_RDONLY | O_DIRECTORY));
            directory_path_ = path;
        }
        return directory_.get();
    }

    Status add(DebWriter& writer, const std::string& listed) {
        const std::string place = where_it_lies(listed);
        const std::string name = place.substr(place.rfind('/') + 1);
        const auto parent = host_directory(parent_of(place));
        struct stat info {};
        if (!parent || ::fstatat(*parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
            return add_missing(writer, listed);
        TarEntry entry = entry_of("." + listed, info);
        if (S_ISDIR(info.st_mode) || (S_ISLNK(info.st_mode) && parents_.contains(listed))) {
            if (S_ISLNK(info.st_mode)) entry = TarEntry{};
            entry.name = "." + listed + "/";
            entry.kind = TarKind::directory;
            if (S_ISLNK(info.st_mode)) entry.permissions = 0755;
            return writer.add(std::move(entry));
        }
        if (S_ISLNK(info.st_mode)) {
            std::string target(kLinkBytesMax + 1, '\0');
            const ssize_t length = ::readlinkat(*parent, name.c_str(), target.data(), target.size());
            if (length < 0) return system_error("read the link", errno);
            target.resize(static_cast<std::size_t>(length));
            entry.kind = TarKind::symlink;
            entry.target = std::move(target);
            return writer.add(std::move(entry));
        }
        if (!S_ISREG(info.st_mode)) {
            packed_.notes.push_back(printable(listed) + " of package " + package_.name + " is no file: left out");
            return {};
        }
        return add_regular(writer, *parent, name, listed, std::move(entry), info);
    }

    // A configuration file may be gone from the host and still be known; anything else was removed by the host.
    Status add_missing(DebWriter& writer, const std::string& listed) {
        const auto conffile = pristine_.find(listed);
        if (conffile == pristine_.end()) return {};
        TarEntry entry;
        entry.name = "." + listed;
        return writer.add(std::move(entry), conffile->second);
    }

    Status add_regular(DebWriter& writer, int parent, const std::string& name, const std::string& listed,
                       TarEntry entry, const struct stat& info) {
        ++packed_.files;
        if (conffiles_.contains(listed)) {
            const auto conffile = pristine_.find(listed);
            return conffile == pristine_.end() ? Status() : writer.add(std::move(entry), conffile->second);
        }
        if (source_.inherited.contains(listed)) return writer.add(std::move(entry));
        if (info.st_nlink > 1) {
            const auto [first, is_new] = first_names_.try_emplace({info.st_dev, info.st_ino}, entry.name);
            if (!is_new) {
                entry.kind = TarKind::hard_link;
                entry.target = first->second;
                return writer.add(std::move(entry));
            }
        }
        const UniqueFd file(::openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!file) return system_error("open it", errno);
        ZF_TRY(const struct stat now, stat_fd(file.get()));
        entry.size = static_cast<std::uint64_t>(now.st_size);
        if (const auto sum = md5sums_.find(listed); sum != md5sums_.end()) {
            ZF_TRY(const std::string md5, md5_at_start(file.get()));
            if (md5 != sum->second) {
                packed_.notes.push_back(printable(listed) + " of package " + package_.name +
                                        " is not on this host what the package shipped; the zone gets the host's");
            }
        }
        return writer.add_file(entry, file.get());
    }

    TarEntry entry_of(std::string name, const struct stat& info) const {
        TarEntry entry;
        entry.name = std::move(name);
        entry.permissions = info.st_mode & 07777;
        entry.uid = info.st_uid;
        entry.gid = info.st_gid;
        const auto named = [](const std::map<std::uint32_t, std::string>& names, std::uint32_t id) {
            const auto found = names.find(id);
            return found == names.end() ? std::string() : found->second;
        };
        entry.user = named(users_, info.st_uid);
        entry.group = named(groups_, info.st_gid);
        entry.modified_s = info.st_mtim.tv_sec;
        return entry;
    }

    const RepackSource& source_;
    const DpkgPackage& package_;
    std::map<std::string, std::string, std::less<>> conffiles_;  // path, MD5
    std::map<std::string, std::string, std::less<>> pristine_;   // path, content
    std::map<std::string, std::string, std::less<>> md5sums_;
    std::map<std::string, std::string, std::less<>> diverted_;
    std::vector<std::string> list_;
    std::set<std::string, std::less<>> parents_;
    std::map<std::uint32_t, std::string> users_;
    std::map<std::uint32_t, std::string> groups_;
    std::map<std::pair<dev_t, ino_t>, std::string> first_names_;
    UniqueFd directory_;
    std::string directory_path_;
    PackedDeb packed_;
};

// The cached file is what the host installed if it says that it is this version.
std::optional<UniqueFd> archived(const RepackSource& source, const DpkgPackage& package) {
    const std::string path = "/var/cache/apt/archives/" + deb_file_name(package);
    auto file = open_in_root(source.host_root, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    if (!file) return std::nullopt;
    ProcessOptions options;
    const std::string shown = source.host_path == "/" ? path : source.host_path + path;
    const auto told =
        run_process({"dpkg-deb", "--showformat=\n${Package} ${Version} ${Architecture}\n", "-W", shown}, options);
    const std::string wanted = package.name + " " + package.version + " " + package.architecture;
    if (!told || told->exit_status != 0) return std::nullopt;
    const auto lines = split(told->output, '\n');  // among warnings
    if (std::find(lines.begin(), lines.end(), wanted) == lines.end()) return std::nullopt;
    return *std::move(file);
}

Status copy_all(int from, int to) {
    while (true) {
        std::array<std::byte, 1 << 16> buffer;
        const ssize_t got = ::read(from, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_error("read a package file", errno);
        if (got == 0) return {};
        ZF_TRY_STATUS(write_all(to, ConstBytes(buffer.data(), static_cast<std::size_t>(got))));
    }
}

}  // namespace

std::string deb_file_name(const DpkgPackage& package) {
    std::string version = package.version;
    if (const std::size_t colon = version.find(':'); colon != std::string::npos) version.replace(colon, 1, "%3a");
    return package.name + "_" + version + "_" + package.architecture + ".deb";
}

std::string control_from_stanza(std::string_view stanza) {
    constexpr std::array<std::string_view, 5> kDropped = {"Status", "Conffiles", "Config-Version", "Triggers-Pending",
                                                          "Triggers-Awaited"};
    std::string control;
    bool dropping = false;
    for (const std::string_view line : split(stanza, '\n')) {
        if (line.empty()) continue;
        if (line.front() != ' ' && line.front() != '\t') {
            dropping = std::find(kDropped.begin(), kDropped.end(), line.substr(0, line.find(':'))) != kDropped.end();
        }
        if (!dropping) control.append(line).append("\n");
    }
    return control;
}

Result<PackedDeb> pack_deb(const RepackSource& source, const DpkgPackage& package, const UniqueFd& to) {
    if (const std::optional<UniqueFd> file = archived(source, package)) {
        ZF_TRY_STATUS(copy_all(file->get(), to.get()));
        PackedDeb packed;
        packed.from_archive = true;
        return packed;
    }
    auto packed = Repacker(source, package).run(to.get());
    if (!packed) return std::move(packed).error().during("making a package of " + package.name);
    return packed;
}

}  // namespace zoneferry
