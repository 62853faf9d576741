// A look-up of SRV records: res_nquery with its answer parsed, for Swift cannot reach into the resolver's unions.

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>

struct fedchat_srv_record {
    uint16_t priority;
    uint16_t weight;
    uint16_t port;
    uint32_t ttl;
    /// Without final dot; "" is the root, which says that there is no such service.
    char target[NS_MAXDNAME];
};

enum {
    FEDCHAT_SRV_MAXIMUM = 32,
    /// The name, or a record of that type, does not exist.
    FEDCHAT_SRV_NONE = -1,
    /// No answer, or a server failure: to be asked again later.
    FEDCHAT_SRV_TRY_AGAIN = -2,
    FEDCHAT_SRV_MALFORMED = -3,
};

/// Asks for the SRV records of a name. Blocks for some seconds at most; safe on any thread.
/// - nameserver: an IPv4 address to ask instead of the system's servers, or NULL; port: its port.
/// - Returns: how many records were stored, at most FEDCHAT_SRV_MAXIMUM, or one of the negative numbers above.
static inline int fedchat_srv_query(
    const char *name, const char *nameserver, uint16_t port, struct fedchat_srv_record *records) {
    struct __res_state state;
    memset(&state, 0, sizeof state);
    if (res_ninit(&state) != 0) return FEDCHAT_SRV_TRY_AGAIN;
    if (nameserver != NULL) {
        struct in_addr address;
        if (inet_pton(AF_INET, nameserver, &address) != 1) {
            res_nclose(&state);
            return FEDCHAT_SRV_TRY_AGAIN;
        }
        state.nscount = 1;
        state.nsaddr_list[0].sin_family = AF_INET;
        state.nsaddr_list[0].sin_addr = address;
        state.nsaddr_list[0].sin_port = htons(port);
    }
    state.retrans = 3;
    state.retry = 2;
    unsigned char answer[16384];
    int length = res_nquery(&state, name, ns_c_in, ns_t_srv, answer, sizeof answer);
    int failure = state.res_h_errno;
    res_nclose(&state);
    if (length < 0) {
        return failure == HOST_NOT_FOUND || failure == NO_DATA ? FEDCHAT_SRV_NONE : FEDCHAT_SRV_TRY_AGAIN;
    }
    if (length > (int)sizeof answer) length = sizeof answer;

    ns_msg message;
    if (ns_initparse(answer, length, &message) != 0) return FEDCHAT_SRV_MALFORMED;
    int count = 0;
    for (int i = 0; i < ns_msg_count(message, ns_s_an) && count < FEDCHAT_SRV_MAXIMUM; i++) {
        ns_rr record;
        if (ns_parserr(&message, ns_s_an, i, &record) != 0) return FEDCHAT_SRV_MALFORMED;
        if (ns_rr_type(record) != ns_t_srv) continue;
        if (ns_rr_rdlen(record) < 7) return FEDCHAT_SRV_MALFORMED;
        const unsigned char *data = ns_rr_rdata(record);
        struct fedchat_srv_record *stored = &records[count];
        stored->priority = ns_get16(data);
        stored->weight = ns_get16(data + 2);
        stored->port = ns_get16(data + 4);
        stored->ttl = ns_rr_ttl(record);
        if (ns_name_uncompress(
                ns_msg_base(message), ns_msg_end(message), data + 6, stored->target, sizeof stored->target) < 0) {
            return FEDCHAT_SRV_MALFORMED;
        }
        count++;
    }
    return count > 0 ? count : FEDCHAT_SRV_NONE;
}

static inline const char *fedchat_srv_target(const struct fedchat_srv_record *record) { return record->target; }
