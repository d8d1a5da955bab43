// The entry of every thread of the agent: an exception (out of memory, a library's own) ends that piece of work with
// an Error, never the process with its zones' moves.
#pragma once

#include <exception>
#include <functional>

#include "core/base/result.h"

namespace zoneferry {

inline Status guarded(const std::function<void()>& work) {
    try {
        work();
    } catch (const std::exception& exception) {
        return Error(Errc::unknown, std::string("an internal fault: ") + exception.what())
            .remedy("please report this with the agent's log; the journal is intact, restarting the agent goes on");
    } catch (...) {
        return Error(Errc::unknown, "an internal fault of unknown kind").remedy("please report this with the log");
    }
    return {};
}

}  // namespace zoneferry
