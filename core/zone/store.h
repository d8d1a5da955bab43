// The zones of one host on disk: the index, one XML file per zone, and the lock that everything which changes a zone
// must hold. Files are replaced durably; the index is changed under a lock of its own.
//
//   ROOT/etc/zones/index                     names, states, zonepaths, uuids (index.h)
//   ROOT/etc/zones/NAME.xml                  the configuration (config_xml.h)
//   ROOT/run/zoneferry/zones/NAME.lock       one operation at a time on a zone
//   ROOT/run/zoneferry/zones/.index.lock     short: one writer of the index
//
// Order: a new zone's XML is written before its index line, and removed after it, so that the index never names a
// configuration that is not there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/host_root.h"
#include "core/base/lock.h"
#include "core/zone/config.h"
#include "core/zone/index.h"

namespace zoneferry {

// Proof that the caller is the only one who changes this zone now. Freed when it goes out of scope or the process dies.
class ZoneLock {
public:
    const ZoneName& name() const { return name_; }

private:
    friend class ZoneStore;
    ZoneLock(ZoneName name, FileLock lock) : name_(std::move(name)), lock_(std::move(lock)) {}
    ZoneName name_;
    FileLock lock_;
};

class ZoneStore {
public:
    explicit ZoneStore(HostRoot root) : root_(std::move(root)) {}

    // In the order of the index; a host without the file has no zones. While the index holds a line that cannot be read
    // (Errc::corrupt, naming it) only the zones that can be read are found; there is no list, and no new zone.
    Result<std::vector<ZoneEntry>> list() const;
    // The zones that can be read, and nothing about the lines that cannot: for booting, where one bad line must not
    // keep all the others down.
    Result<std::vector<ZoneEntry>> list_readable() const;
    Result<ZoneEntry> find(const ZoneName& name) const;  // Errc::not_found
    Result<ZoneConfig> config(const ZoneName& name) const;
    std::string config_path(const ZoneName& name) const;

    // Errc::busy if another operation holds it. The name need not exist: an incoming zone's is locked as well.
    Result<ZoneLock> lock(const ZoneName& name) const;

    // A new zone in state configured. Errc::conflict if the name is taken or the zonepath overlaps another zone's.
    Status create(const ZoneLock& lock, const ZoneConfig& config);
    // Replaces the configuration; the zonepath may change only while the zone is configured.
    Status save_config(const ZoneLock& lock, const ZoneConfig& config);
    // For a zone in any state whose tree was brought to another place: index and configuration follow it.
    Status change_zonepath(const ZoneLock& lock, const std::string& zonepath);
    // Errc::conflict if the configuration's zonepath overlaps that of another zone.
    Status check_overlap(const ZoneConfig& config) const;
    // Errc::conflict if the stored state is not expected. A zone gets an uuid (or the one given) when it leaves
    // configured, and loses it when it goes back there.
    Status change_state(const ZoneLock& lock, ZoneState expected, ZoneState wanted,
                        const std::optional<std::string>& uuid = std::nullopt);
    // Removes index line and configuration; only in state configured, nothing below the zonepath is touched.
    Status remove(const ZoneLock& lock);

    const HostRoot& root() const { return root_; }

private:
    Result<ZoneIndex> read_index() const;
    Status check_whole(const ZoneIndex& index) const;
    template <class Change>
    Status change_index(Change change);
    Status write_config(const ZoneConfig& config) const;

    HostRoot root_;
};

}  // namespace zoneferry
