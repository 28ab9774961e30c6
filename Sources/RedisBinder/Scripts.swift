import Streams

/// What must happen on the server in one step, as Lua. All keys of a script are in one hash slot.
///
/// Entries that wait for a retry belong to the consumer `~waiting` and are listed, by the time when they are due, in a sorted set; an entry of
/// another consumer is in that member's hand. Members write down until when they are taken for alive.
enum Scripts {
    static let waiting = "~waiting"

    static func call(_ script: String, _ keys: [String], _ arguments: [String]) -> RedisCommand {
        RedisCommand(arguments: ["EVAL", script, String(keys.count)] + keys + arguments)
    }

    /// Compares ids, whose numbers are greater than a Lua number may hold: by length, then by digits.
    static let less = """
        local function less(a, b)
          local am, as = string.match(a, '(%d+)-(%d+)')
          local bm, bs = string.match(b, '(%d+)-(%d+)')
          if #am ~= #bm then return #am < #bm end
          if am ~= bm then return am < bm end
          if #as ~= #bs then return #as < #bs end
          return as < bs
        end

        """

    /// A flat array of names and values as a table.
    static let map = """
        local function map(flat)
          local t = {}
          for i = 1, #flat, 2 do t[flat[i]] = flat[i + 1] end
          return t
        end

        """

    static let clock = """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)

        """

    /// Creates the group unless it is there. `start` is where a new one begins; where the group was known before, it begins behind what it had
    /// done by its mark, or with all that there is: never behind what it has not seen. Answers `[0]` where it was there, `[1, lost]` where it
    /// was created; `lost` says whether events may be gone.
    static func ensure(_ keys: RedisKeys, group: String, start: String, known: Bool) -> RedisCommand {
        call(
            less + map + """
                local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
                if not groups.err then
                  for _, g in ipairs(groups) do if map(g).name == ARGV[1] then return {0, 0} end end
                elseif string.find(groups.err, 'WRONGTYPE') then return groups end
                local from, lost = ARGV[2], 0
                local mark = redis.call('HMGET', KEYS[2], 'id', 'added', 'removed')
                -- Removed on purpose it is new for whoever did not know it.
                if mark[1] and (not mark[3] or ARGV[3] == '1') then
                  from, lost = '0', 1
                  if not groups.err then
                    local info = map(redis.call('XINFO', 'STREAM', KEYS[1]))
                    local added = tonumber(info['entries-added'] or 0)
                    if not less(info['last-generated-id'], mark[1]) and added >= tonumber(mark[2] or 0) then from, lost = mark[1], 0 end
                  end
                elseif ARGV[3] == '1' then from, lost = '0', 1 end
                local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], from, 'MKSTREAM')
                if made.err then return made end
                redis.pcall('DEL', KEYS[2])
                return {1, lost}
                """, [keys.stream, keys.mark], [group, start, known ? "1" : "0"])
    }

    /// A member's heartbeat: says that it lives, takes up to `limit` entries whose retry is due and those of `ids` (its own), and, where `sweeps`,
    /// looks for members that are dead. Answers `[ms until the next retry or -1, entries lost, [[id, deliveries, fields], …]]`.
    static func tick(
        _ keys: RedisKeys, group: String, member: String, lease: Int, limit: Int, sweeps: Bool, ids: [StreamID]
    ) -> RedisCommand {
        call(
            map + clock + """
                local stream, retry, members, mark = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
                local group, me, lease, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
                local summary = redis.pcall('XPENDING', stream, group)
                if summary.err then return summary end
                local before = tonumber(redis.call('ZSCORE', members, me) or 0)
                -- Without memory for it nobody can say that he lives, and nobody is declared dead.
                redis.pcall('ZADD', members, now + lease, me)
                local function wait(id, at)
                  redis.call('ZADD', retry, at, id)
                  redis.call('XCLAIM', stream, group, '~waiting', 0, id, 'JUSTID')
                end
                if ARGV[5] == '1' and before > now then
                  local waiting = 0
                  for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
                    local consumer = map(c)
                    local name = consumer.name
                    if name == '~waiting' then waiting = consumer.pending
                    elseif name ~= me then
                      local alive = tonumber(redis.call('ZSCORE', members, name) or 0)
                      if alive < now then
                        local idle = alive > 0 and 0 or lease
                        for _, p in ipairs(redis.call('XPENDING', stream, group, 'IDLE', idle, '-', '+', 1000, name)) do wait(p[1], now) end
                        if alive > 0 and #redis.call('XPENDING', stream, group, '-', '+', 1, name) == 0 then
                          redis.call('XGROUP', 'DELCONSUMER', stream, group, name)
                          redis.call('ZREM', members, name)
                        end
                      end
                    end
                  end
                  -- Whoever deleted the list of retries must not have stopped them.
                  if waiting > redis.call('ZCARD', retry) then
                    for _, p in ipairs(redis.call('XPENDING', stream, group, '-', '+', 5000, '~waiting')) do
                      redis.call('ZADD', retry, 'NX', now, p[1])
                    end
                  end
                end
                local lost, out = 0, {}
                local function take(id)
                  local got = redis.call('XCLAIM', stream, group, me, 0, id)
                  if got[1] then
                    local p = redis.call('XPENDING', stream, group, id, id, 1)
                    out[#out + 1] = {id, p[1][4], got[1][2]}
                  else lost = lost + redis.call('XACK', stream, group, id) end
                end
                for i = 6, #ARGV do
                  if #redis.call('XPENDING', stream, group, ARGV[i], ARGV[i], 1, me) > 0 then take(ARGV[i]) end
                end
                if limit > 0 then
                  for _, id in ipairs(redis.call('ZRANGEBYSCORE', retry, '-inf', now, 'LIMIT', 0, limit)) do
                    redis.call('ZREM', retry, id)
                    take(id)
                  end
                end
                -- Where the group stands, in case that it is destroyed: before all that is not done.
                local at
                if summary[1] > 0 then
                  local ms, number = string.match(summary[2], '(%d+)-(%d+)')
                  if number ~= '0' and #number < 16 then at = ms .. '-' .. string.format('%.0f', tonumber(number) - 1)
                  else at = string.format('%.0f', math.max(0, tonumber(ms) - 1)) .. '-18446744073709551615' end
                else
                  for _, g in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
                    local m = map(g)
                    if m.name == group then at = m['last-delivered-id'] end
                  end
                end
                local added = map(redis.call('XINFO', 'STREAM', stream))['entries-added'] or 0
                if at then redis.pcall('HSET', mark, 'id', at, 'added', added) end
                local first = redis.call('ZRANGE', retry, 0, 0, 'WITHSCORES')
                local next = -1
                if first[2] then next = math.max(0, math.ceil(tonumber(first[2]) - now)) end
                return {next, lost, out}
                """, [keys.stream, keys.retry, keys.members, keys.mark],
            [group, member, String(lease), String(limit), sweeps ? "1" : "0"] + ids.map(\.description))
    }

    /// An entry that waits again.
    struct GivenBack {
        var id: StreamID
        var delay: Int
        /// How often it counts as delivered; nil: as often as it was.
        var deliveries: Int?
    }

    /// Lets entries of the member wait for a retry. Answers how many were still its own.
    static func giveBack(_ keys: RedisKeys, group: String, member: String, _ entries: [GivenBack]) -> RedisCommand {
        call(
            clock + """
                local count = 0
                for i = 3, #ARGV, 3 do
                  local id = ARGV[i]
                  if #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2]) > 0 then
                    local done = redis.pcall('ZADD', KEYS[2], now + tonumber(ARGV[i + 1]) + (i / 3000) % 1, id)
                    if type(done) == 'table' and done.err then return done end
                    if ARGV[i + 2] == '' then redis.call('XCLAIM', KEYS[1], ARGV[1], '~waiting', 0, id, 'JUSTID')
                    else redis.call('XCLAIM', KEYS[1], ARGV[1], '~waiting', 0, id, 'RETRYCOUNT', ARGV[i + 2], 'JUSTID') end
                    count = count + 1
                  end
                end
                return count
                """, [keys.stream, keys.retry],
            [group, member] + entries.flatMap { [$0.id.description, String($0.delay), $0.deliveries.map(String.init) ?? ""] })
    }

    /// Keeps an entry of the group as a dead letter, with `fields` beside its own, and ends it. An entry that another member has settled
    /// meanwhile is left alone; one that vanished with its stream cannot be kept.
    static func bury(_ keys: RedisKeys, group: String, id: StreamID, fields: [(String, String)]) -> RedisCommand {
        call(
            """
            local id = ARGV[2]
            if #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1) == 0 then return 0 end
            local entry = redis.call('XRANGE', KEYS[1], id, id)
            if entry[1] then
              local add = {'XADD', KEYS[2], '*'}
              for _, f in ipairs(entry[1][2]) do add[#add + 1] = f end
              for i = 3, #ARGV do add[#add + 1] = ARGV[i] end
              local made = redis.pcall(unpack(add))
              if type(made) == 'table' and made.err then return made end
            end
            redis.call('XACK', KEYS[1], ARGV[1], id)
            return 1
            """, [keys.stream, keys.dead], [group, id.description] + fields.flatMap { [$0.0, $0.1] })
    }

    /// A member's end: all that it has in hand is due at once, and the member is forgotten, but never while anything belongs to it.
    static func leave(_ keys: RedisKeys, group: String, member: String) -> RedisCommand {
        call(
            clock + """
                redis.call('ZREM', KEYS[3], ARGV[2])
                local left = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', 5000, ARGV[2])
                if left.err then return 0 end
                for i, p in ipairs(left) do
                  local done = redis.pcall('ZADD', KEYS[2], now + i / 10000, p[1])
                  if type(done) == 'table' and done.err then return done end
                  redis.call('XCLAIM', KEYS[1], ARGV[1], '~waiting', 0, p[1], 'JUSTID')
                end
                if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) == 0 then
                  redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
                end
                return #left
                """, [keys.stream, keys.retry, keys.members], [group, member])
    }

    /// Drops entries that every group has done and that are older than the retention, or more than are kept. What a group has not done stays.
    static func trim(_ keys: RedisKeys, _ configuration: RedisConfiguration) -> RedisCommand {
        call(
            less + map + clock + """
                local length = redis.call('XLEN', KEYS[1])
                if length == 0 then return 0 end
                local from = now - tonumber(ARGV[1])
                local kept = tonumber(ARGV[2])
                if length > kept then
                  -- About where the last `kept` events begin, as if they had come evenly.
                  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]
                  local begin = tonumber(string.match(first, '%d+'))
                  from = math.max(from, now - math.max(0, now - begin) * kept / length)
                end
                local floor = string.format('%.0f', math.max(0, math.floor(from))) .. '-0'
                for _, g in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
                  local group = map(g)
                  local done = group['last-delivered-id']
                  if group.pending > 0 then done = redis.call('XPENDING', KEYS[1], group.name)[2] end
                  if less(done, floor) then floor = done end
                end
                return redis.call('XTRIM', KEYS[1], 'MINID', '~', floor)
                """, [keys.stream],
            [String(configuration.retention.milliseconds), String(configuration.kept)])
    }
}
