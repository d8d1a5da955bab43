#include "core/adjust/mounts.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"
#include "core/zone/config.h"

namespace zoneferry {
namespace {

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 21> kNetworkTypes = {
    "nfs",       "nfs4",       "cifs",           "smb3",      "smbfs",     "ncpfs",       "ceph",
    "afs",       "gfs2",       "glusterfs",      "lustre",    "9p",        "sshfs",       "davfs",
    "curlftpfs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.davfs"};
constexpr std::array<std::string_view, 6> kVfstabSpecials = {"fd", "/proc", "swap", "ctfs", "objfs", "sharefs"};
constexpr std::array<std::string_view, 4> kRuntimeMounts = {"/dev", "/proc", "/run", "/sys"};

bool has_option(std::string_view options, std::string_view wanted) {
    const auto all = split(options, ',');
    return std::find(all.begin(), all.end(), wanted) != all.end();
}

bool is_network_in_fstab(const std::vector<std::string_view>& words) {
    return words.size() >= 3 && is_one_of(words[2], kNetworkTypes);
}

// Root in a zone may not mount what needs a driver of the host, whatever its fstab says.
Status warn_of_network_mounts(ImageEditor& image, std::string_view text) {
    for (const std::string_view line : lines_with_ends(text)) {
        const auto words = split_words(bare(line));
        if (words.empty() || words[0].front() == '#' || !is_network_in_fstab(words)) continue;
        image.warn("/etc/fstab keeps " + printable(words[0]) + " on " + printable(words[1]) +
                   ": if the zone may not mount it itself, mount it in the global zone and add an fs resource");
    }
    return {};
}

}  // namespace

bool is_kept_in_fstab(std::string_view line) {
    const auto words = split_words(line);
    if (words.size() < 3) return false;  // systemd would complain about it at every boot
    const std::string_view options = words.size() > 3 ? words[3] : std::string_view();
    if (is_network_in_fstab(words)) return true;
    if (has_option(options, "_netdev")) return !words[0].starts_with("/dev/") && words[0].find('=') == words[0].npos;
    if (has_option(options, "bind") || has_option(options, "rbind")) return !words[0].starts_with("/dev/");
    return words[2] == "tmpfs" && std::none_of(kRuntimeMounts.begin(), kRuntimeMounts.end(),
                                               [&](auto mount) { return is_at_or_below(words[1], mount); });
}

bool is_kept_in_vfstab(std::string_view line) {
    const auto words = split_words(line);
    if (words.size() < 4) return false;
    return is_one_of(words[0], kVfstabSpecials) || words[3] == "nfs" || words[3] == "lofs";
}

Status adjust_fstab(ImageEditor& image) {
    ZF_TRY(const auto text, image.text("etc/fstab"));
    if (!text) return {};
    const EditedText edited = comment_out(*text, image.date(), [](auto line) { return !is_kept_in_fstab(line); });
    ZF_TRY_STATUS(warn_of_network_mounts(image, edited.text));
    return image.edit(AdjustmentKind::mounts, "etc/fstab", edited.text,
                      "commented out " + count_of(edited.lines, "local file system"));
}

Status adjust_vfstab(ImageEditor& image) {
    ZF_TRY(const auto text, image.text("etc/vfstab"));
    if (!text) return {};
    const EditedText edited = comment_out(*text, image.date(), [](auto line) { return !is_kept_in_vfstab(line); });
    return image.edit(AdjustmentKind::mounts, "etc/vfstab", edited.text,
                      "commented out " + count_of(edited.lines, "local file system"));
}

}  // namespace zoneferry
