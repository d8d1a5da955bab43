#include "agent/programs/zonecfg_create_from.h"

#include <cstdio>

#include "core/attach/attach.h"

namespace zoneferry {

Result<ZoneConfig> detached_configuration(const HostRoot& root, const std::string& zonepath, const ZoneName& name) {
    std::vector<std::string> notes;
    ZF_TRY(ZoneConfig config, config_from_detached(root, zonepath, name, notes));
    for (const std::string& note : notes) std::fprintf(stderr, "zonecfg: note: %s\n", note.c_str());
    return config;
}

}  // namespace zoneferry
