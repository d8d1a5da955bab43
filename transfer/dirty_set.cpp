#include "transfer/dirty_set.h"

#include <fcntl.h>
#include <sys/fanotify.h>

#include <cstring>

namespace zoneferry {
namespace {

constexpr std::size_t kHandleHeaderBytes = 8;  // struct file_handle: length and type
constexpr std::size_t kInfoHeaderBytes = sizeof(fanotify_event_info_header) + sizeof(__kernel_fsid_t);

template <class T>
T load(ConstBytes from) {
    T value;
    std::memcpy(&value, from.data(), sizeof(T));
    return value;
}

// A record of an event: a handle, and a name if it has one.
bool take_info(ConstBytes info, ChangeNews& news) {
    const auto header = load<fanotify_event_info_header>(info);
    if (header.info_type != FAN_EVENT_INFO_TYPE_FID && header.info_type != FAN_EVENT_INFO_TYPE_DFID_NAME &&
        header.info_type != FAN_EVENT_INFO_TYPE_DFID) {
        return true;
    }
    if (info.size() < kInfoHeaderBytes + kHandleHeaderBytes) return false;
    const ConstBytes body = info.subspan(kInfoHeaderBytes);
    const auto handle_bytes = load<std::uint32_t>(body);
    if (handle_bytes == 0 || handle_bytes > MAX_HANDLE_SZ || handle_bytes > body.size() - kHandleHeaderBytes) {
        return false;
    }
    const std::size_t whole = kHandleHeaderBytes + handle_bytes;
    FileHandle handle(reinterpret_cast<const char*>(body.data()), whole);
    if (header.info_type == FAN_EVENT_INFO_TYPE_FID) {
        news.object = std::move(handle);
        return true;
    }
    news.directory = std::move(handle);
    news.name = ".";
    if (header.info_type == FAN_EVENT_INFO_TYPE_DFID) return true;
    const ConstBytes rest = body.subspan(whole);
    const auto* text = reinterpret_cast<const char*>(rest.data());
    const std::size_t length = ::strnlen(text, rest.size());
    if (length == 0 || length == rest.size()) return false;
    news.name.assign(text, length);
    return true;
}

}  // namespace

std::optional<ChangeNews> take_news(ConstBytes& from) {
    if (from.size() < sizeof(fanotify_event_metadata)) return std::nullopt;
    const auto event = load<fanotify_event_metadata>(from);
    if (event.vers != FANOTIFY_METADATA_VERSION || event.event_len > from.size() ||
        event.metadata_len < sizeof(event) || event.metadata_len > event.event_len) {
        return std::nullopt;
    }
    ChangeNews news;
    news.mask = event.mask;
    ConstBytes infos = from.first(event.event_len).subspan(event.metadata_len);
    from = from.subspan(event.event_len);
    if ((event.mask & FAN_Q_OVERFLOW) != 0) return news;
    while (infos.size() >= sizeof(fanotify_event_info_header)) {
        const auto header = load<fanotify_event_info_header>(infos);
        if (header.len < sizeof(header) || header.len > infos.size()) return std::nullopt;
        if (!take_info(infos.first(header.len), news)) return std::nullopt;
        infos = infos.subspan(header.len);
    }
    if (news.directory.empty() && news.object.empty()) return std::nullopt;
    return news;
}

void DirtySet::add(const ChangeNews& news) {
    if (!doubt_.empty()) return;
    if (!news.object.empty()) add_object(news.object);
    if (news.directory.empty()) return;
    Directory& directory = directories_[news.directory];
    const bool is_listed = (news.mask & (FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO)) != 0;
    directory.is_itself = directory.is_itself || is_listed || news.name == ".";
    if (news.name != ".") {
        const auto [entry, is_new] = directory.names.try_emplace(news.name);
        if (is_new) ++names_;
        Name& name = entry->second;
        name.is_listed = name.is_listed || is_listed;
        name.is_created = name.is_created || (news.mask & FAN_CREATE) != 0;
        name.is_renamed = name.is_renamed || (news.mask & (FAN_MOVED_FROM | FAN_MOVED_TO)) != 0;
    }
    if (names_ + directories_.size() > kDirtyNamesMax) give_up("more names changed than are followed");
}

void DirtySet::add_object(const FileHandle& object) {
    if (doubt_.empty()) objects_.insert(object);
}

void DirtySet::give_up(const std::string& why) {
    if (doubt_.empty()) doubt_ = why;
    directories_.clear();
    objects_.clear();
    names_ = 0;
}

}  // namespace zoneferry
