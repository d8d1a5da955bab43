// The global zone's root: "/" on a host, or the DIR of --root / ZONEFERRY_ROOT, so that one machine can play
// several hosts. Every path in a zone's configuration and every path of our own is looked up below it.
#pragma once

#include <string>
#include <string_view>

namespace zoneferry {

class HostRoot {
public:
    HostRoot() = default;
    // "" and "/" mean the real root; a trailing slash is dropped.
    explicit HostRoot(std::string directory);

    // absolute begins with '/': "/etc/zones" -> "DIR/etc/zones".
    std::string at(std::string_view absolute) const;
    const std::string& directory() const { return directory_; }  // "/" for the real root
    bool is_real() const { return directory_ == "/"; }

    std::string zones_directory() const { return at("/etc/zones"); }
    std::string config_directory() const { return at("/etc/zoneferry"); }
    std::string state_directory() const { return at("/var/lib/zoneferry"); }
    std::string run_directory() const { return at("/run/zoneferry"); }

private:
    std::string directory_ = "/";
};

}  // namespace zoneferry
