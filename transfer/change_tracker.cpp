// One thread reads the group's queue. Of a directory that it does not know it asks once where it lies; the answer may
// become untrue, see the header for why that does not matter.
#include "transfer/change_tracker.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <fstream>
#include <thread>
#include <unordered_map>

#include "core/base/text.h"
#include "transfer/dirty_set.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kMask =
    FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE_WRITE | FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_ONDIR;
constexpr unsigned kReport =
    FAN_REPORT_FID | FAN_REPORT_DIR_FID | FAN_REPORT_NAME | FAN_REPORT_TARGET_FID;  // parent, name and object
constexpr std::size_t kReadBytes = 256 * 1024;
constexpr std::size_t kKnownMax = 65'536;  // directories of the whole file system
constexpr int kGatherMs = 20;              // events that are the same become one while nobody reads

Error doubtful(const std::string& why) { return Error(Errc::unsupported, why); }

Result<std::string> path_of(int fd) {
    std::array<char, PATH_MAX> path{};
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t got = ::readlink(link.c_str(), path.data(), path.size());
    if (got < 0 || got == static_cast<ssize_t>(path.size())) {
        return doubtful("a changed directory lies too deep to be followed");
    }
    return std::string(path.data(), static_cast<std::size_t>(got));
}

// Null descriptor: there is no such inode any more.
Result<UniqueFd> open_handle(int beside, const FileHandle& handle, int flags) {
    alignas(file_handle) std::array<char, 8 + MAX_HANDLE_SZ> buffer{};
    handle.copy(buffer.data(), buffer.size());
    // ext4 says ENOMEM while it makes a new inode of the old one's number: a moment later it is ESTALE.
    constexpr int kTries = 1'000;
    for (int tries = 0; tries < kTries; ++tries) {
        UniqueFd fd(::open_by_handle_at(beside, reinterpret_cast<file_handle*>(buffer.data()),
                                        flags | O_PATH | O_CLOEXEC | O_NOFOLLOW));
        if (fd || errno == ESTALE) return fd;
        if (errno != ENOMEM) break;
        ::sched_yield();
    }
    return doubtful("a file handle cannot be opened: " + std::to_string(errno));
}

// Is the file system one whose announcements say everything, and whose handles can be opened?
Status check_file_system(int directory) {
    struct statfs system {};
    if (::fstatfs(directory, &system) != 0) return system_error("statfs", errno);
    if (system.f_type != EXT4_SUPER_MAGIC && system.f_type != XFS_SUPER_MAGIC) {
        return doubtful("changes are followed on ext4 and xfs only");
    }
    alignas(file_handle) std::array<char, 8 + MAX_HANDLE_SZ> buffer{};
    auto* const handle = reinterpret_cast<file_handle*>(buffer.data());
    handle->handle_bytes = MAX_HANDLE_SZ;
    int mount_id = 0;
    if (::name_to_handle_at(directory, "", handle, &mount_id, AT_EMPTY_PATH) != 0) {
        return system_error("name_to_handle_at", errno);
    }
    const UniqueFd again(::open_by_handle_at(directory, handle, O_PATH | O_CLOEXEC));
    if (!again) return system_error("open_by_handle_at", errno);
    return {};
}

// A mount point's path in mountinfo: blanks and the like stand there as \040.
std::string unescaped(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto octal = text[i] == '\\' ? parse_number<unsigned>(text.substr(i + 1, 3), 8) : std::nullopt;
        plain += octal ? static_cast<char>(*octal) : text[i];
        if (octal) i += 3;
    }
    return plain;
}

// What is mounted below hides what the walk would find, or is found by it and refused.
bool is_anything_mounted_below(const std::string& path) {
    std::ifstream mounts("/proc/self/mountinfo");
    std::string line;
    bool any = false;
    while (std::getline(mounts, line)) {
        const auto words = split_words(line);
        any = any || (words.size() > 4 && unescaped(words[4]).starts_with(path + "/"));
    }
    return any || !mounts.eof();
}

}  // namespace

struct ChangeTracker::State {
    enum class Where { inside, outside, gone };

    UniqueFd root;
    std::string root_path;
    UniqueFd group;
    UniqueFd stop;
    DirtySet changes;
    std::unordered_map<FileHandle, bool> known;  // directories: is it inside?
    ByteVector buffer = ByteVector(kReadBytes);
    std::jthread reader;  // last: it uses all the above

    void follow();
    bool read_queue();
    void take(const ChangeNews& news);
    Result<Where> where(const FileHandle& directory);
    Result<std::optional<std::string>> path_below(int fd) const;
    Status add_names(const FileHandle& handle, const DirtySet::Directory& directory, Changes& found);
    Status add_file(const FileHandle& object, Changes& found);
    bool is_alive(const FileHandle& object) const {
        const auto fd = open_handle(root.get(), object, 0);
        return !fd || *fd;
    }
};

// From the root; nullopt: it lies outside.
Result<std::optional<std::string>> ChangeTracker::State::path_below(int fd) const {
    ZF_TRY(const std::string path, path_of(fd));
    if (path == root_path) return std::optional<std::string>("");
    if (!path.starts_with(root_path + "/")) return std::optional<std::string>();
    return std::optional<std::string>(path.substr(root_path.size() + 1));
}

Result<ChangeTracker::State::Where> ChangeTracker::State::where(const FileHandle& directory) {
    if (const auto seen = known.find(directory); seen != known.end()) {
        return seen->second ? Where::inside : Where::outside;
    }
    ZF_TRY(const UniqueFd fd, open_handle(root.get(), directory, O_DIRECTORY));
    if (!fd) return Where::gone;
    ZF_TRY(const std::optional<std::string> path, path_below(fd.get()));
    if (known.size() >= kKnownMax) known.clear();
    known.emplace(directory, path.has_value());
    return path ? Where::inside : Where::outside;
}

void ChangeTracker::State::take(const ChangeNews& news) {
    if ((news.mask & FAN_Q_OVERFLOW) != 0) return changes.give_up("the kernel's queue of changes overflowed");
    if (news.directory.empty()) {
        changes.add_object(news.object);
    } else if (const auto place = where(news.directory); !place) {
        return changes.give_up(place.error().text());
    } else if (*place == Where::inside) {
        changes.add(news);
    } else if (*place == Where::gone && !news.object.empty()) {
        changes.add_object(news.object);
    }
    if (changes.has_many_objects()) {
        changes.forget_dead_objects([this](const FileHandle& object) { return is_alive(object); });
    }
}

// All that is there; false: no more need to listen.
bool ChangeTracker::State::read_queue() {
    while (changes.doubt().empty()) {
        const ssize_t got = ::read(group.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return true;
        if (got <= 0) {
            changes.give_up("the queue of changes cannot be read");
            break;
        }
        ConstBytes events = ConstBytes(buffer).first(static_cast<std::size_t>(got));
        while (!events.empty() && changes.doubt().empty()) {
            if (const auto news = take_news(events)) {
                take(*news);
            } else {
                changes.give_up("the kernel announced what is not understood");
            }
        }
    }
    group.reset();  // nobody shall pay for announcements that are of no use any more
    return false;
}

void ChangeTracker::State::follow() {
    std::array<pollfd, 2> waiting{pollfd{stop.get(), POLLIN, 0}, pollfd{group.get(), POLLIN, 0}};
    while (true) {
        (void)::poll(waiting.data(), 2, -1);
        if (waiting[0].revents != 0 || !read_queue()) return;
        (void)::poll(waiting.data(), 1, kGatherMs);
    }
}

Status ChangeTracker::State::add_names(const FileHandle& handle, const DirtySet::Directory& directory, Changes& found) {
    ZF_TRY(const UniqueFd fd, open_handle(root.get(), handle, O_DIRECTORY));
    if (!fd) return {};  // its end was announced, too
    ZF_TRY(const std::optional<std::string> path, path_below(fd.get()));
    if (!path) return {};  // as was its leaving
    if (directory.is_itself) found.directories.push_back(*path);
    for (const auto& [name, how] : directory.names) {
        found.names.push_back(
            {path->empty() ? name : *path + "/" + name, how.is_listed, how.is_created && !how.is_renamed});
    }
    return {};
}

Status ChangeTracker::State::add_file(const FileHandle& object, Changes& found) {
    ZF_TRY(const UniqueFd fd, open_handle(root.get(), object, 0));
    if (!fd) return {};
    ZF_TRY(struct stat status, stat_fd(fd.get()));
    if (status.st_nlink == 0) return {};
    if (!S_ISDIR(status.st_mode)) {
        found.files.push_back({status.st_ino, status.st_nlink});
        return {};
    }
    ZF_TRY(const std::optional<std::string> path, path_below(fd.get()));
    if (path) return {};
    // Others may remove theirs, elsewhere on this file system, while we ask.
    ZF_TRY(status, stat_fd(fd.get()));
    return status.st_nlink == 0 ? Status() : doubtful("a directory was moved out of the zone");
}

ChangeTracker::ChangeTracker() = default;
ChangeTracker::~ChangeTracker() {
    if (state_) (void)::eventfd_write(state_->stop.get(), 1);
}

Result<std::unique_ptr<ChangeTracker>> ChangeTracker::start(const std::string& directory) {
    auto state = std::make_unique<State>();
    ZF_TRY(state->root, open_directory(directory));
    ZF_TRY_STATUS(check_file_system(state->root.get()));
    ZF_TRY(state->root_path, path_of(state->root.get()));
    state->group = UniqueFd(
        ::fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | kReport, O_RDONLY | O_LARGEFILE | O_CLOEXEC));
    if (!state->group) return system_error("fanotify_init", errno);
    if (::fanotify_mark(state->group.get(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, kMask, state->root.get(), nullptr) !=
        0) {
        return system_error("fanotify_mark", errno);
    }
    state->stop = UniqueFd(::eventfd(0, EFD_CLOEXEC));
    if (!state->stop) return system_error("eventfd", errno);
    std::unique_ptr<ChangeTracker> tracker(new ChangeTracker);  // NOLINT: private constructor
    tracker->state_ = std::move(state);
    tracker->state_->reader = std::jthread([&followed = *tracker->state_] { followed.follow(); });
    return tracker;
}

Result<Changes> ChangeTracker::finish() {
    State& state = *state_;
    (void)::eventfd_write(state.stop.get(), 1);
    if (state.reader.joinable()) state.reader.join();
    if (state.changes.doubt().empty()) (void)state.read_queue();
    if (!state.changes.doubt().empty()) return doubtful(state.changes.doubt());
    Changes found;
    for (const auto& [handle, directory] : state.changes.directories()) {
        ZF_TRY_STATUS(state.add_names(handle, directory, found));
    }
    for (const FileHandle& object : state.changes.objects()) ZF_TRY_STATUS(state.add_file(object, found));
    ZF_TRY(const std::string root_path, path_of(state.root.get()));
    if (root_path != state.root_path) return doubtful("the zone's directory was moved");
    if (is_anything_mounted_below(root_path)) return doubtful("something is mounted below the zone's directory");
    return found;
}

}  // namespace zoneferry
