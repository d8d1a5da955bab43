#include "transfer/rate_limit.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace zoneferry {

void step_back() {
    constexpr int kNice = 10;
    constexpr int kIoprioWhoProcess = 1;  // linux/ioprio.h; of a thread when its id is 0
    constexpr int kBestEffortLowest = (2 << 13U) | 7;
    (void)::setpriority(PRIO_PROCESS, 0, kNice);
    (void)::syscall(SYS_ioprio_set, kIoprioWhoProcess, 0, kBestEffortLowest);
}

}  // namespace zoneferry
