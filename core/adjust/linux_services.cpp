#include "core/adjust/linux_services.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <set>

#include "core/adjust/text_edit.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr const char* kTerminal = "a zone has no terminals but its console";
constexpr const char* kDevices = "devices are managed by the global zone";
constexpr const char* kKernel = "the kernel is the global zone's";
constexpr const char* kLoader = "a zone is not started by a boot loader";
constexpr const char* kClock = "the clock is set by the global zone";
constexpr const char* kAgent = "zones do not hold zones";

constexpr std::array kRules = {
    ServiceRule{"getty@*.service", kTerminal},
    ServiceRule{"serial-getty@*.service", kTerminal},
    ServiceRule{"getty-static.service", kTerminal},
    ServiceRule{"gpm.service", kTerminal},
    ServiceRule{"keyboard-setup.service", kTerminal},
    ServiceRule{"console-setup.service", kTerminal},
    ServiceRule{"setvtrgb.service", kTerminal},
    ServiceRule{"plymouth*.service", kTerminal},
    ServiceRule{"udev.service", kDevices},
    ServiceRule{"eudev.service", kDevices},
    ServiceRule{"systemd-udevd*.service", kDevices},
    ServiceRule{"systemd-udevd*.socket", kDevices},
    ServiceRule{"systemd-udev-*.service", kDevices},
    ServiceRule{"systemd-hwdb-update.service", kDevices},
    ServiceRule{"ifupdown-pre.service", kDevices},
    ServiceRule{"systemd-rfkill.*", kDevices},
    ServiceRule{"systemd-backlight@.service", kDevices},
    ServiceRule{"systemd-fsck*", kDevices},
    ServiceRule{"systemd-remount-fs.service", kDevices},
    ServiceRule{"systemd-quotacheck.service", kDevices},
    ServiceRule{"systemd-repart.service", kDevices},
    ServiceRule{"systemd-growfs*", kDevices},
    ServiceRule{"quota*.service", kDevices},
    ServiceRule{"lvm2*", kDevices},
    ServiceRule{"blk-availability.service", kDevices},
    ServiceRule{"dm-event.*", kDevices},
    ServiceRule{"mdadm*", kDevices},
    ServiceRule{"mdcheck*", kDevices},
    ServiceRule{"mdmonitor*", kDevices},
    ServiceRule{"multipath*", kDevices},
    ServiceRule{"cryptdisks*", kDevices},
    ServiceRule{"open-iscsi.service", kDevices},
    ServiceRule{"iscsid.*", kDevices},
    ServiceRule{"zfs-*", kDevices},
    ServiceRule{"fstrim.*", kDevices},
    ServiceRule{"e2scrub*", kDevices},
    ServiceRule{"xfs_scrub*", kDevices},
    ServiceRule{"smartd.service", kDevices},
    ServiceRule{"smartmontools.service", kDevices},
    ServiceRule{"hdparm.service", kDevices},
    ServiceRule{"udisks2.service", kDevices},
    ServiceRule{"upower.service", kDevices},
    ServiceRule{"fwupd*", kDevices},
    ServiceRule{"bluetooth.service", kDevices},
    ServiceRule{"ModemManager.service", kDevices},
    ServiceRule{"alsa-*.service", kDevices},
    ServiceRule{"lm-sensors.service", kDevices},
    ServiceRule{"ipmi*.service", kDevices},
    ServiceRule{"openipmi.service", kDevices},
    ServiceRule{"watchdog.service", kDevices},
    ServiceRule{"qemu-guest-agent.service", kDevices},
    ServiceRule{"open-vm-tools.service", kDevices},
    ServiceRule{"vgauth.service", kDevices},
    ServiceRule{"virtualbox-guest-utils.service", kDevices},
    ServiceRule{"hv-*-daemon.service", kDevices},
    ServiceRule{"cloud-init*.service", kDevices},
    ServiceRule{"cloud-config.service", kDevices},
    ServiceRule{"cloud-final.service", kDevices},
    ServiceRule{"dphys-swapfile.service", kDevices},
    ServiceRule{"acpid.*", kDevices},
    ServiceRule{"kmod.service", kKernel},
    ServiceRule{"kmod-static-nodes.service", kKernel},
    ServiceRule{"systemd-modules-load.service", kKernel},
    ServiceRule{"modprobe@.service", kKernel},
    ServiceRule{"sys-kernel-*.mount", kKernel},
    ServiceRule{"sys-fs-fuse-connections.mount", kKernel},
    ServiceRule{"proc-sys-fs-binfmt_misc.*", kKernel},
    ServiceRule{"systemd-binfmt.service", kKernel},
    ServiceRule{"binfmt-support.service", kKernel},
    ServiceRule{"systemd-pstore.service", kKernel},
    ServiceRule{"auditd.service", kKernel},
    ServiceRule{"apparmor.service", kKernel},
    ServiceRule{"kexec*.service", kKernel},
    ServiceRule{"kdump*.service", kKernel},
    ServiceRule{"irqbalance.service", kKernel},
    ServiceRule{"thermald.service", kKernel},
    ServiceRule{"cpufrequtils.service", kKernel},
    ServiceRule{"loadcpufreq.service", kKernel},
    ServiceRule{"rasdaemon.service", kKernel},
    ServiceRule{"mcelog.service", kKernel},
    ServiceRule{"haveged.service", kKernel},
    ServiceRule{"rng-tools*.service", kKernel},
    ServiceRule{"grub-*.service", kLoader},
    ServiceRule{"systemd-boot-random-seed.service", kLoader},
    ServiceRule{"systemd-boot-system-token.service", kLoader},
    ServiceRule{"systemd-boot-update.service", kLoader},
    ServiceRule{"systemd-bless-boot.service", kLoader},
    ServiceRule{"systemd-pcrphase*", kLoader},
    ServiceRule{"systemd-timesyncd.service", kClock},
    ServiceRule{"systemd-time-wait-sync.service", kClock},
    ServiceRule{"chrony*.service", kClock},
    ServiceRule{"ntp.service", kClock},
    ServiceRule{"ntpd.service", kClock},
    ServiceRule{"ntpsec*", kClock},
    ServiceRule{"ntpdate*.service", kClock},
    ServiceRule{"openntpd.service", kClock},
    ServiceRule{"hwclock*.service", kClock},
    ServiceRule{"fake-hwclock*", kClock},
    ServiceRule{"zoneferryd.service", kAgent},
};

constexpr std::array<const char*, 3> kUnitDirectories = {"etc/systemd/system", "usr/lib/systemd/system",
                                                         "lib/systemd/system"};

bool is_unit(std::string_view name) {
    for (const char* suffix : {".service", ".socket", ".mount", ".automount", ".timer", ".path", ".target", ".swap"}) {
        if (name.ends_with(suffix)) return true;
    }
    return false;
}

// The units that the image has and that are not masked yet. A merged /lib is a link: usr/lib has it all.
Result<std::set<std::string>> find_units(ImageEditor& image) {
    std::set<std::string> units;
    for (const char* directory : kUnitDirectories) {
        if (std::string_view(directory).starts_with("lib/") && image.link_target("lib")) continue;
        ZF_TRY(const std::vector<std::string> names, image.names(directory));
        for (const std::string& name : names) {
            if (is_unit(name) && image.link_target(std::string(directory) + "/" + name) != "/dev/null") {
                units.insert(name);
            }
        }
    }
    ZF_TRY(const std::vector<std::string> scripts, image.names("etc/init.d"));
    for (const std::string& script : scripts) {
        // systemd makes a unit of a script; a script of a udev-like name needs the mask as well.
        if (!is_unit(script) && script != "README") units.insert(script + ".service");
    }
    return units;
}

const ServiceRule* rule_for(const std::string& unit, std::span<const ServiceRule> rules) {
    for (const ServiceRule& rule : rules) {
        if (::fnmatch(rule.pattern, unit.c_str(), 0) == 0) return &rule;
    }
    return nullptr;
}

Status turn_off_run_levels(ImageEditor& image, AdjustmentKind kind, std::span<const ServiceRule> rules) {
    for (const char level : std::string_view("0123456S")) {
        const std::string directory = std::string("etc/rc") + level + ".d";
        ZF_TRY(const std::vector<std::string> names, image.names(directory));
        for (const std::string& name : names) {
            if (name.size() < 4 || name[0] != 'S') continue;
            const std::string script = name.substr(3);
            const ServiceRule* rule = rule_for(script + ".service", rules);
            if (rule == nullptr) continue;
            ZF_TRY_STATUS(image.rename(kind, directory + "/" + name, "K01" + script,
                                       "not started any more: " + std::string(rule->why)));
        }
    }
    return {};
}

Status turn_off_openrc(ImageEditor& image, AdjustmentKind kind, std::span<const ServiceRule> rules) {
    ZF_TRY(const std::vector<std::string> levels, image.names("etc/runlevels"));
    for (const std::string& level : levels) {
        const std::string directory = "etc/runlevels/" + level;
        if (!image.is_directory(directory)) continue;
        ZF_TRY(const std::vector<std::string> names, image.names(directory));
        for (const std::string& name : names) {
            const ServiceRule* rule = rule_for(name + ".service", rules);
            if (rule == nullptr) continue;
            ZF_TRY_STATUS(
                image.put_aside(kind, directory + "/" + name, "not started any more: " + std::string(rule->why)));
        }
    }
    return {};
}

Status adjust_inittab(ImageEditor& image) {
    ZF_TRY(const auto text, image.text("etc/inittab"));
    if (!text) return {};
    return image.edit(AdjustmentKind::services, "etc/inittab", inittab_for_zone(*text, image.date()),
                      "a getty on the console only");
}

}  // namespace

Status turn_off_services(ImageEditor& image, AdjustmentKind kind, std::span<const ServiceRule> rules) {
    ZF_TRY(const std::set<std::string> units, find_units(image));
    const bool has_systemd = image.is_directory("usr/lib/systemd/system") || image.is_directory("lib/systemd/system");
    for (const std::string& unit : units) {
        const ServiceRule* rule = has_systemd ? rule_for(unit, rules) : nullptr;
        if (rule == nullptr) continue;
        ZF_TRY_STATUS(image.link(kind, "etc/systemd/system/" + unit, "/dev/null", "masked: " + std::string(rule->why)));
    }
    ZF_TRY_STATUS(turn_off_run_levels(image, kind, rules));
    return turn_off_openrc(image, kind, rules);
}

std::string inittab_for_zone(std::string_view text, std::string_view date) {
    bool has_console = false;
    EditedText edited = comment_out(text, date, [&](std::string_view line) {
        const auto fields = split(line, ':');
        if (fields.size() < 4 || fields[3].find("getty") == std::string_view::npos) return false;
        const auto words = split_words(fields[3]);
        const bool is_console = std::find(words.begin(), words.end(), "console") != words.end();
        has_console = has_console || is_console;
        return !is_console;
    });
    if (edited.lines > 0 && !has_console) edited.text += "co:2345:respawn:/sbin/getty --noclear 38400 console\n";
    return edited.text;
}

Status adjust_linux_services(ImageEditor& image) {
    ZF_TRY_STATUS(turn_off_services(image, AdjustmentKind::services, kRules));
    return adjust_inittab(image);
}

}  // namespace zoneferry
