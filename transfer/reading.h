// Reading a tree that may change meanwhile: opening without following or blocking, and telling what can be trusted.
#pragma once

#include <cstdint>
#include <string>

#include "transfer/attributes.h"

namespace zoneferry {

constexpr std::int64_t kRacyMarginNs = 20'000'000;  // two ticks of the slowest kernel clock (HZ=100)

// The clock that file systems stamp with, now.
std::int64_t file_clock_ns();
// Was the entry changed so shortly before read_at_ns that a later change could carry the same ctime?
bool is_racy(const EntryStat& stat, std::int64_t read_at_ns);
// A store into a page of a shared mapping sets the ctime only if the page is clean: what is stored into a page that has
// been dirty all along would not be seen. Writes the file's dirty pages out, so that every store from now on sets its
// ctime; call it between taking its state and reading it. False: its file system never cleans pages (tmpfs), so a later
// change may go unseen.
bool settle_pages(int file);
// Does the error say that the entry vanished or became something else?
bool is_gone(const Error& error);
// name below directory for reading; its access time stays where the system allows that.
Result<UniqueFd> open_to_read(int directory, const std::string& name, int flags);

}  // namespace zoneferry
