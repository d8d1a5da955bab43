#include "agent/move/storage_proof.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "agent/move/preflight_view.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/storage.h"
#include "core/zone/store.h"
#include "core/zone/zonepath.h"

namespace zoneferry {
namespace {

constexpr std::size_t kProofBytes = 16;
constexpr std::string_view kProofPrefix = ".zoneferry-proof-";
constexpr std::string_view kAnswerPrefix = ".zoneferry-answer-";

bool has(const std::vector<std::string>& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

std::string proof_name(const std::string& move_id) { return std::string(kProofPrefix) + move_id; }
std::string answer_name(const std::string& move_id) { return std::string(kAnswerPrefix) + move_id; }

Finding storage_finding(const char* code, Side side, Severity severity, const std::string& subject,
                        const std::string& message, const std::string& remedy) {
    Finding finding;
    finding.code = code;
    finding.side = side;
    finding.severity = severity;
    finding.subject = subject;
    finding.message = message;
    finding.remedy = remedy;
    return finding;
}

bool is_proof(const std::string& text) {
    return text.size() == 2 * kProofBytes && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Result<std::string> read_proof(int zonepath, const std::string& name) {
    ZF_TRY(const UniqueFd file, open_beneath(zonepath, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    ZF_TRY(const std::string text, read_to_end(file.get(), 2 * kProofBytes));
    if (is_proof(text)) return text;
    return Error(Errc::invalid, name + " is no proof");
}

// Closing it is enough for another client of a network file system to see it; that it survives a power cut is not
// asked.
Status write_proof(int zonepath, const std::string& name, const std::string& text) {
    ZF_TRY(const UniqueFd file, open_beneath(zonepath, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    return write_all(file.get(), as_bytes(text));
}

// What a check that was killed has left, a day ago.
void remove_old_proofs(int zonepath) {
    constexpr std::int64_t kDayS = 86'400;
    const auto names = list_directory_fd(zonepath);
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        if (!name.starts_with(kProofPrefix) && !name.starts_with(kAnswerPrefix)) continue;
        struct stat info {};
        if (::fstatat(zonepath, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
        struct timespec now {};
        ::clock_gettime(CLOCK_REALTIME, &now);
        if (now.tv_sec - info.st_mtim.tv_sec > kDayS) (void)::unlinkat(zonepath, name.c_str(), 0);
    }
}

// The check changes nothing that a move would have to send.
class TimesKept {
public:
    explicit TimesKept(int directory) : directory_(directory), known_(::fstat(directory, &info_) == 0) {}
    ~TimesKept() {
        const std::array<struct timespec, 2> times{info_.st_atim, info_.st_mtim};
        if (known_) (void)::futimens(directory_, times.data());
    }
    TimesKept(const TimesKept&) = delete;
    TimesKept& operator=(const TimesKept&) = delete;

private:
    int directory_;
    struct stat info_ {};
    bool known_;
};

// The LUN that the zone's tree lies on and that could be unmounted here; "directory" if it lies on none.
std::string offer_text(AgentContext& context, const ZoneConfig& config) {
    if (!context.root.is_real()) return kSharedDirectory;
    const auto at = mounted_at(config.zonepath);
    if (!at) return kSharedDirectory;
    std::vector<std::string> others;
    const ZoneStore store(context.root);
    const auto zones = store.list_readable();
    for (const ZoneEntry& zone : zones ? *zones : std::vector<ZoneEntry>()) {
        if (zone.name.str() != config.name) others.push_back(zone.zonepath);
    }
    const std::string problem = lun_problem(*at, config.zonepath, others);
    Storage lun = at->storage;
    if (config.storage) lun.options = config.storage->options;
    if (problem.empty()) return lun_text(lun);
    spdlog::debug("zone {} lies on no LUN that could be handed over: {}", config.name, problem);
    return kSharedDirectory;
}

// Why this host's zonepath, if it has one, is not the source's. Empty code: there is none.
std::optional<Finding> different_directory(const Result<UniqueFd>& zonepath, const std::string& path) {
    const auto warn = [&](const char* code, const std::string& message, const std::string& remedy) {
        return storage_finding(code, Side::target, Severity::warn, path, message, remedy);
    };
    const int why = zonepath ? 0 : zonepath.error().system_error();
    struct stat info {};
    const bool is_removed = zonepath && ::fstat(zonepath->get(), &info) == 0 && info.st_nlink == 0;
    if (why == ESTALE || why == EIO || why == ENOTCONN || is_removed) {
        return warn("STORAGE_STALE", path + " is a mount of a directory that is not there any more",
                    "mount it again: umount " + path + ", then mount it");
    }
    if (!zonepath) return std::nullopt;
    return warn("STORAGE_OTHER", path + " exists here, but it is not the source's directory of that name",
                "mount the source's storage at " + path + ", or move what lies there out of the way");
}

// May the target take it, and will the storage keep the other host out?
std::optional<Finding> judge_reservation(AgentContext& context, const std::string& device,
                                         const std::string& source_host_id) {
    const auto state = ScsiReservation(device).read();
    if (state && !state->missing.empty()) {
        return storage_finding("STORAGE_UNRESERVED", Side::target, Severity::info, device,
                               device + " has no SCSI reservations (" + state->missing +
                                   "): no host is kept from writing to it but by Zoneferry's own records",
                               "nothing; for a disk that has them: apt-get install sg3-utils");
    }
    std::string problem = state ? "" : state.error().text();
    for (const ReservationKey key : state ? state->registered : std::vector<ReservationKey>()) {
        const bool is_known = is_same_host(key, own_reservation_key(context.root, 0)) ||
                              is_same_host(key, reservation_key(source_host_id, 0));
        if (!is_known) problem = "a third host, or another program, is registered to write to " + device;
    }
    if (problem.empty()) return std::nullopt;
    return storage_finding("STORAGE_RESERVED", Side::target, Severity::block, device, problem,
                           "see which: sg_persist -k " + device + ", sg_persist -r " + device);
}

StorageAnswer look_for_lun(AgentContext& context, const std::string& offer, const std::string& source_host_id) {
    StorageAnswer answer;
    const auto wanted = parse_lun(offer);
    const auto devices = block_devices();
    if (!wanted || !devices) return answer;
    const FoundLun found = find_lun(*wanted, *devices);
    if (found.code.empty()) {
        answer.kind = SharedKind::lun;
        auto reserved = judge_reservation(context, found.device, source_host_id);
        if (reserved) answer.findings.push_back(*std::move(reserved));
        return answer;
    }
    const bool is_mounted = found.code == "STORAGE_MOUNTED";
    answer.findings.push_back(storage_finding(
        found.code.c_str(), Side::target, is_mounted ? Severity::block : Severity::warn, wanted->uuid, found.problem,
        is_mounted ? "unmount it here at once: two hosts that mount one device destroy its file system"
                   : "let both hosts see the same device"));
    return answer;
}

}  // namespace

std::optional<SharedWish> shared_wish_from_name(std::string_view name) {
    if (name == "auto" || name.empty()) return SharedWish::detect;
    if (name == "require") return SharedWish::require;
    if (name == "never") return SharedWish::never;
    return std::nullopt;
}

StorageOffer::StorageOffer(AgentContext& context, const ZoneConfig& config, const std::string& move_id)
    : move_id_(move_id) {
    auto zonepath = open_zonepath(context.root, config.zonepath);
    if (!zonepath) return;  // nothing can be offered; the check has findings about that
    text_ = offer_text(context, config);
    const TimesKept times(zonepath->get());
    remove_old_proofs(zonepath->get());
    proof_ = to_hex(random_bytes(kProofBytes));
    // Read-only, or full: then nothing is proved.
    if (!write_proof(zonepath->get(), proof_name(move_id), proof_)) proof_.clear();
    zonepath_ = *std::move(zonepath);
}

StorageOffer::~StorageOffer() {
    if (!zonepath_) return;
    const TimesKept times(zonepath_.get());
    (void)::unlinkat(zonepath_.get(), proof_name(move_id_).c_str(), 0);
    (void)::unlinkat(zonepath_.get(), answer_name(move_id_).c_str(), 0);
}

bool StorageOffer::is_proved_by(const CheckReply& reply) const {
    if (!zonepath_ || proof_.empty() || reply.proof != proof_ || reply.answer.empty()) return false;
    const auto answer = read_proof(zonepath_.get(), answer_name(move_id_));
    return answer && *answer == reply.answer;
}

bool must_be_shared(const FsResource& fs) {
    return fs.type == "lofs" && !has(fs.options, "ro") && !has(fs.options, "hostlocal");
}

FsProofs::FsProofs(AgentContext& context, const ZoneConfig& config, const std::string& move_id)
    : name_(proof_name(move_id)) {
    for (const FsResource& fs : config.filesystems) {
        if (!must_be_shared(fs) || !is_plain_path(fs.special) || has(paths_, fs.special)) continue;
        auto directory = open_directory(context.root.at(fs.special));
        if (!directory) continue;
        const TimesKept times(directory->get());
        remove_old_proofs(directory->get());
        // Not written: then nothing is proved, and the target says so.
        if (write_proof(directory->get(), name_, to_hex(random_bytes(kProofBytes)))) {
            directories_.push_back(*std::move(directory));
            paths_.push_back(fs.special);
        }
    }
}

FsProofs::~FsProofs() {
    for (const UniqueFd& directory : directories_) {
        const TimesKept times(directory.get());
        (void)::unlinkat(directory.get(), name_.c_str(), 0);
    }
}

bool has_fs_proof(AgentContext& context, const std::string& directory, const std::string& move_id) {
    const auto here = open_directory(context.root.at(directory));
    return here && read_proof(here->get(), proof_name(move_id));
}

Finding storage_left(const ZoneConfig& config) {
    return storage_finding("STORAGE_LEFT", Side::source, Severity::warn, config.storage ? config.storage->uuid : "",
                           "the zone's LUN is not handed over: its files travel, and the zone declares no LUN there",
                           "let the target see the LUN, and move with --shared require");
}

StorageAnswer answer_offer(AgentContext& context, const ZoneConfig& config, const std::string& move_id,
                           const std::string& offer, const std::string& source_host_id) {
    StorageAnswer answer;
    if (offer.empty() || !zonepath_problem(context.root, config.zonepath).empty()) {
        return is_lun(offer) ? look_for_lun(context, offer, source_host_id) : answer;
    }
    const auto zonepath = open_zonepath(context.root, config.zonepath);
    auto proof = zonepath ? read_proof(zonepath->get(), proof_name(move_id)) : Result<std::string>(zonepath.error());
    if (proof) {
        const TimesKept times(zonepath->get());
        answer.kind = SharedKind::directory;
        answer.proof = *std::move(proof);
        answer.answer = to_hex(random_bytes(kProofBytes));
        if (!write_proof(zonepath->get(), answer_name(move_id), answer.answer)) answer.answer.clear();
        return answer;
    }
    if (is_lun(offer)) answer = look_for_lun(context, offer, source_host_id);
    if (answer.kind != SharedKind::none) return answer;
    if (auto different = different_directory(zonepath, config.zonepath)) {
        answer.findings.push_back(*std::move(different));
    }
    return answer;
}

SharedVerdict judge_shared(SharedWish wish, SharedKind answered, bool proved, std::vector<Finding> findings) {
    SharedVerdict verdict;
    const bool is_one_way = answered == SharedKind::directory && !proved;
    if (wish != SharedWish::never && !is_one_way) verdict.kind = answered;
    if (is_one_way && wish != SharedWish::never) {
        findings.push_back(storage_finding("STORAGE_ONE_WAY", Side::source, Severity::block, "zonepath",
                                           "the target reads what this host writes there, but what the target writes "
                                           "is not seen here",
                                           "mount the shared file system read-write on both hosts"));
    }
    for (Finding& finding : findings) {
        // A directory of that name, and a device that is not there, say only that nothing is shared.
        const bool is_plain = finding.code == "STORAGE_OTHER" || finding.code == "STORAGE_MISSING";
        const bool is_told = finding.severity == Severity::block || wish == SharedWish::require ||
                             (!is_plain && wish == SharedWish::detect);
        if (is_told) verdict.findings.push_back(std::move(finding));
    }
    if (wish == SharedWish::require && verdict.kind == SharedKind::none) {
        verdict.findings.push_back(
            storage_finding("STORAGE_NOT_SHARED", Side::source, Severity::block, "zonepath",
                            "the two hosts do not have the zone's storage in common, which --shared require asks for",
                            "mount it on both hosts, or let the zone's data travel: --shared never"));
    }
    return verdict;
}

}  // namespace zoneferry
