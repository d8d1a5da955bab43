#include "core/base/host_root.h"

#include "core/base/check.h"

namespace zoneferry {

HostRoot::HostRoot(std::string directory) : directory_(std::move(directory)) {
    while (directory_.size() > 1 && directory_.back() == '/') directory_.pop_back();
    if (directory_.empty()) directory_ = "/";
}

std::string HostRoot::at(std::string_view absolute) const {
    ZF_CHECK(!absolute.empty() && absolute.front() == '/');
    if (is_real()) return std::string(absolute);
    return directory_ + std::string(absolute);
}

}  // namespace zoneferry
