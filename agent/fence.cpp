#include "agent/fence.h"

#include "core/base/files.h"
#include "core/base/process.h"
#include "core/base/text.h"

namespace zoneferry {

Status fence_host(const HostRoot& root, const Settings& settings, const std::string& host, const std::string& zone) {
    const bool is_set = !settings.fence_hook.empty();
    const std::string hook = root.at(is_set ? settings.fence_hook : "/etc/zoneferry/fence");
    if (!is_set && !path_exists(hook)) return {};
    ProcessOptions options;
    options.timeout_ms = settings.fence_timeout_s * 1000;
    Status done = run_checked({hook, host, zone}, options);
    if (done) return {};
    return std::move(done).error().during("fencing " + printable(host) + "; nothing was taken").remedy("see " + hook);
}

}  // namespace zoneferry
