// The agent's settings: /etc/zoneferry/agent.toml, then agent.toml.d/*.toml in order of their names; a later
// file overrides. Unknown keys are refused by name, so that a misspelt one is seen.
//
//     name = "host1"            # this host's name in certificates; default: the host name
//     listen = "0.0.0.0"        # address for peers
//     port = 7743
//     addresses = ["10.0.0.1"]  # what invitations tell others; default: every address of the host
//     halt_grace_s = 30         # for a zone to shut down before it is killed
//     retry_s = 600             # how long a broken transfer is retried while the zone runs at the source
//     quiesced_retry_s = 60     # the same while the zone is halted; then it is started again at the source
//     boot_wait_s = 60          # for a zone's init to report that it is up
//     refresh_s = 60            # between the passes of a move that waits for its switch
//     answer_s = 30             # a peer that says nothing for so long is taken for dead
//     change_tracking = true    # the last pass visits what changed, as the kernel tells; false: the whole tree
//     transfer_memory_mb = 256  # for the buffers of one move, on this side
//     extra_fs_roots = ["/data"]  # below these, trees of a zone outside its zonepath are taken; default: nowhere
//     transport = "stream"      # everything goes as records; "auto": btrfs sends to btrfs by itself
//     history_days = 365        # how long gc keeps moves that are over
//     fence_hook = "PROGRAM"    # cuts another host off; default: /etc/zoneferry/fence if it is there (fence.h)
//     fence_timeout_s = 60      # then it is killed and has failed
//
// Read by the agent, and by zoneadm for `name` and the fence.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/host_root.h"
#include "core/base/result.h"

namespace zoneferry {

// How the bulk of a tree may travel: transfer/bulk_transport.h.
enum class Transport { automatic, stream };

struct Settings {
    std::string name;
    std::string listen = "::";
    std::uint16_t port = 7743;
    std::vector<std::string> addresses;
    int halt_grace_s = 30;
    int retry_s = 600;
    int quiesced_retry_s = 60;
    int boot_wait_s = 60;
    int refresh_s = 60;
    int answer_s = 30;
    bool change_tracking = true;
    int transfer_memory_mb = 256;
    std::vector<std::string> extra_fs_roots;  // absolute
    Transport transport = Transport::stream;
    int history_days = 365;
    std::string fence_hook;  // absolute; empty: the default one
    int fence_timeout_s = 60;
};

Result<Settings> load_settings(const HostRoot& root);

}  // namespace zoneferry
