# 程序对人说的话（简体中文）。键与 en.ftl 一一对应。

## 目录错误

error-unavailable = 暂时无法完成，请重试：{ $cause }
error-damaged = 存储中的数据已损坏：{ $cause }
error-contended = 同时修改过多，请重试
error-not-a-domain = “{ $text }”不是有效的域名
error-not-an-address = “{ $text }”不是有效的邮件地址，格式应为 名称@域名
error-local-part = “{ $text }”不是有效的邮件地址：@ 之前的部分无效
error-unsuitable-address = 不能分配 { $address }：@ 之前请使用字母、数字、点和连字符，不能含有 +
error-list-full = 每个名单最多 { $limit } 条
error-keyword = 主题关键词须为 1 至 { $limit } 个字符，且不含控制字符
error-member-rules = 规则不符合要求：{ $cause }（{ $place }）
error-name = 名称须为 1 至 { $limit } 个字符，且不含控制字符
error-password = 密码不符合要求：{ $broken }
error-sign-in-rules = 登录规则无效：{ $cause }
error-no-tenant = 没有租户“{ $name }”，请用“pennypost tenant list”查看
error-no-domain = 没有域名 { $name }，可用“pennypost domain add { $name } --tenant 租户名”添加
error-no-account = 没有账号 { $name }，请用“pennypost account list”查看
error-no-token = { $address } 没有编号为 { $id } 的专用密码，请用“pennypost account token list”查看
error-no-alias = 没有别名 { $name }
error-no-group = 没有邮件组 { $name }
error-no-member = { $name } 不是该组的成员
error-tenant-taken = 租户“{ $name }”已存在
error-domain-taken = 域名 { $name } 已被占用
error-address-taken = 地址 { $address } 已被账号、别名或邮件组占用
error-mobile = 手机号须含国家代码，共 8 至 15 位数字，例如 +8613800000000
error-mobile-taken = 该手机号已被其他成员使用
error-other-tenant = { $name } 属于其他租户
error-no-targets = 至少需要一个目标账号
error-too-many = 数量过多：最多 { $limit } 个
error-group-cycle = 邮件组 { $address } 会包含自身
error-group-depth = 邮件组最多嵌套 { $limit } 层
error-no-department = 没有部门“{ $name }”，请用“pennypost department list”查看
error-department-taken = 该处已有部门“{ $name }”
error-department-name = 部门名称须为 1 至 { $limit } 个字符，不含 / 和控制字符，且不以 # 开头
error-department-depth = 部门最多 { $limit } 级
error-department-cycle = 部门“{ $name }”会成为自身的下级
error-department-not-empty = 部门“{ $name }”不为空：请先移走其中的账号和下级部门
error-no-tag = 没有标签“{ $name }”，请用“pennypost tag list”查看
error-tag-taken = 标签“{ $name }”已存在
error-field = { $name } 的内容过长（最多 { $limit } 个字符）或含有不允许的字符
error-in-bin = { $address } 在回收站中，请参阅“pennypost account restore”和“pennypost account assign”
error-not-in-bin = { $address } 不在回收站中
error-bin-over = { $address } 在回收站的保留期已过，只能彻底删除
error-secretary-cycle = { $address } 会直接或间接成为自己的秘书
error-no-invitation = 没有这个邀请
error-joining-closed = 该组织未开放邀请加入
error-invitation-past = 邀请已过期
error-invitation-revoked = 邀请已被撤销
error-invitation-used-up = 邀请的可用次数已用完
error-invitation-terms = 邀请可用 1 至 1000 次，有效期最长 90 天
error-address-fixed = { $address } 不是部门群组的地址，或该地址已修改过一次
error-joining-domain = 请指定新成员使用的域名
error-no-application = 没有人申请 { $address }
error-decided = 地址 { $address } 的申请已处理，不能再次处理
error-already-joined = { $address } 不需要邀请：已设置密码，或该账号不能设置密码
error-wrong-kind = { $address } 不是可以这样操作的账号：成员账号可以删除、解绑和分配，业务邮箱可以回收，已解绑的邮箱需要新的使用者
error-group-follows = 该邮件组的成员即其部门的成员
error-empty-account = 无法清除 { $address } 的邮件：{ $cause }
error-file-write = 无法写入 { $path }：{ $cause }
error-file-rows = { $path } 超过 { $limit } 行
error-file-encoding = { $path } 的文字编码不是 UTF-8、UTF-16 或 GB18030
error-file-workbook = 无法读取工作簿 { $path }：须为未加密的 XLSX，每个工作表最多 100 列
error-file-sheets = 工作簿 { $path } 超过 { $limit } 个工作表，未导入任何内容
error-file-unpacked = 工作簿 { $path } 解压后超过 { $limit } MB
error-file-columns = { $path } 的第一行须为列名：成员表须有“邮箱”，群组表须有“邮箱”以及“成员”或“使用范围”，部门表须有“部门”；请参阅“pennypost organisation template”。无法识别：“{ $column }”
error-import-row = { $file } 第 { $line } 行：{ $cause }
error-import-refused = 有 { $failed } 行未被接受
error-row-cells = 该行有 { $found } 个单元格，但只有 { $known } 列
error-row-garbled = “{ $cell }”的文字已损坏
error-row-formula = “{ $cell }”是公式
error-row-merged = 该行含有合并的单元格
error-row-address = 缺少邮箱地址
error-row-blank = “{ $address }”含有空格
error-row-department = 缺少部门
error-row-word = 无法识别“{ $column }”列中的“{ $cell }”
error-row-twice = { $address } 已出现在 { $file } 第 { $line } 行
error-row-domain = 域名 { $domain } 的邮件尚未指向本系统，租户要求生效后才能添加地址
error-row-no-domain = 没有域名 { $domain }
error-row-no-seat = 组织套餐的 { $seats } 个账号名额已用完

## 命令错误

error-line = 错误：{ $message }
error-output = 无法写出结果：{ $cause }
error-file = 无法读取 { $path }：{ $cause }
error-file-too-large = { $path } 超过 { $limit } MB
error-open-account = 账号 { $address } 已添加，但无法建立其邮箱：{ $cause }
error-which-tenant = 存在多个租户，请用 --tenant 名称 指定
error-no-tenant-yet = 还没有租户，可用“pennypost tenant add 名称”添加
error-password-input = 没有得到密码：{ $cause }
error-password-terminal = 没有得到密码：{ $cause }；没有终端时请用 --password-stdin 提供，或用 --generate-password 生成
error-password-stdin = 标准输入中没有密码行
error-password-twice = 两次输入的密码不一致
error-address-needed = 需要一个地址，或使用 --csv 文件
error-csv-header = { $path } 的第一行须为列名；必须有“address”，可以有“name”、“quota”和“password”；发现：“{ $column }”
error-csv-row = 第 { $line } 行：{ $cause }
error-csv-quota = “{ $text }”不是有效的容量，例如：500MB、10GB
error-csv-utf8 = 文字不是 UTF-8 编码
error-csv-twice = { $address } 在文件中出现两次
error-csv-some-failed = { $failed } 行失败，{ $added } 行成功
error-nothing-to-set = 没有要设置的内容：请给出 --dmarc-reject 或 --junk-threshold

## 提示

prompt-password = { $address } 的密码：
prompt-password-again = 再输入一次：

## 结果

tenant-added = 已添加租户“{ $name }”（{ $id }）
tenant-suspended = 租户“{ $name }”已停用：无法登录，来信暂缓接收
tenant-resumed = 租户“{ $name }”已恢复
tenants-none = 还没有租户
domain-added = 已添加域名 { $name }
domains-none = 还没有域名
catch-all-set = 发往 { $domain } 错误地址的邮件将转给 { $address }
catch-all-off = 发往 { $domain } 错误地址的邮件将被拒收
account-added = 已添加账号 { $address }
account-generated-password = { $address } 的密码（仅显示一次）：{ $password }
account-password-changed = 已修改 { $address } 的密码
account-quota-changed = { $address } 的容量为 { $quota } 字节
account-disabled = 已禁用 { $address }：不能登录，不收新邮件
account-enabled = 已启用 { $address }
accounts-none = 还没有账号
account-edited = 已修改 { $address } 的通讯录信息
account-moved = { $address } 现在所属部门：{ $departments }
account-suspended = 已由运营方停用 { $address }：在恢复之前不能登录，也不接收新邮件
account-resumed = 已恢复 { $address }
account-expires = { $address } 将于 { $date } 到期
account-never-expires = { $address } 不会到期
account-binned = { $address } 已进入回收站，保留至 { $until }
account-restored = 已从回收站恢复 { $address }
account-assigned = { $address } 现在归“{ $name }”使用
account-is-business = { $address } 已转为业务邮箱，任何密码都不能登录
account-backed-up = 已将 { $address } 的 { $messages } 封邮件复制到 { $into }，其中 { $damaged } 封已损坏，未复制
account-backup-ordered = 正在复制 { $address } 的邮件：任务 { $id }
account-erased = 已彻底删除 { $address }
account-permitted = { $address } 可发送至：{ $send }；可接收自：{ $receive }
functions-blocked = 已限制 { $of } 的功能：{ $functions }
functions-open = { $of } 没有受限制的功能
functions-of-accounts = 单个账号只能限制 sending、receiving-from-outside 和 mail-programs
function-of-tenants = { $function } 只能对整个租户限制
password-and-invitation = 初始密码与邀请只能二选一
order-bad = 订单须有三位大写字母的货币代码，期限的结束须晚于开始，备注最多 500 个字符
order-over = 订单的期限已结束
order-decided = 该订单已处理，无法再次处理
order-tried = 该企业已试用过或已开通专业版
order-no-plan = 该企业没有套餐，也没有任何限制
order-impossible = 购买须有 VIP 名额和 1 至 10 年期限，续费须有年数，扩容须有数量，试用须有 1 至 10 个 VIP 名额，提高帐号上限须有更大的数量和原因
order-approval = 有金额时须有三个大写字母的货币代码；续费和扩容须已付款
ending-ended = 结束时间
ending-from = 清除时间
ending-erased = 已清除
ending-held = 保全
ending-order = 清除指令
ending-state = { $state ->
    [open] 正常
    [ended] 已结束
    [held] 已保全
    [erasing] 正在清除
   *[erased] 已清除
}
ending-kept = 服务结束的租户保留 { $days } 天
ending-kept-always = 服务结束的租户一直保留，直到另有指令
endings-none = 没有已结束的租户
ending-begun = 已开始清除该企业的数据
ending-grace = 服务结束后的保留期须为 { $least } 至 { $most } 天
ending-days = 清除须在 { $most } 天之内执行
reason-bad = 原因须为 1 至 { $limit } 个字符
terms-bad = 服务协议须为 1 至 { $limit } 字节
bulletin-bad = 公告须有中英文标题（1 至 { $title } 个字符）和正文（1 至 { $most } 个字符），且结束时间晚于开始时间
contact-bad = 名称、电话和邮箱各最多 { $limit } 个字符，且不含控制字符
bin-empty = 回收站是空的
import-progress = 已处理 { $done } / { $total } 行
import-organisation-done = 已添加 { $departments } 个部门、{ $people } 个账号、{ $groups } 个邮件组
import-organisation-dry = 可以添加 { $departments } 个部门、{ $people } 个账号、{ $groups } 个邮件组；未做任何更改
warning-task-unrecorded = 操作已全部完成，但未能记入任务列表：{ $cause }
import-skipped = { $skipped } 行此前已存在
export-organisation = 已写出 { $departments } 个部门、{ $people } 个账号、{ $groups } 个邮件组
group-for-department = { $address } 是部门 { $path } 的邮件组
senders-everyone = 所有人，包括外部发件人
senders-inside = 企业内所有账号
senders-members = 群组成员及允许的发件人
senders-named = 仅限允许的发件人
people-none = 没有找到任何人
department-added = 已添加部门 { $path }（#{ $id }）
department-changed = 已修改部门 { $path }
department-removed = 已删除部门 { $path }
tag-added = 已添加标签“{ $name }”
tag-renamed = 标签已改名为“{ $name }”
tag-removed = 已删除标签“{ $name }”
tag-marks = 标签“{ $name }”标记了 { $accounts } 个账号和 { $departments } 个部门
tags-none = 还没有标签
token-created = 已为 { $address } 创建客户端专用密码“{ $name }”
token-once = 专用密码（仅显示一次）：{ $token }
token-revoked = 已吊销 { $address } 的专用密码 { $id }，使用它的会话将结束
tokens-none = 该账号没有客户端专用密码
clients-set = 已设置 { $name } 的客户端权限
clients-reset = 已恢复 { $name } 的客户端默认设置
clients-imap-range = IMAP 收取邮件范围
clients-imap-folders = IMAP 收取“我的文件夹”
clients-imap-junk = IMAP 收取垃圾邮件
clients-pop3-range = POP3 收取邮件范围
clients-pop3-folders = POP3 收取“我的文件夹”
clients-pop3-junk = POP3 收取垃圾邮件
range-all = 全部
range-2-years = 最近两年
range-1-year = 最近一年
range-3-months = 最近三个月
range-30-days = 最近 30 天
range-7-days = 最近 7 天
csv-imported = 已添加 { $added } 个账号
csv-dry-run = 可以添加 { $added } 个账号；未作任何更改
alias-added = 已添加别名 { $address }，指向 { $count } 个账号
alias-removed = 已删除别名 { $address }
aliases-none = 还没有别名
group-added = 已添加邮件组 { $address }，共 { $count } 个成员
group-changed = 邮件组 { $address } 现有 { $count } 个成员
group-readdressed = 群组 { $former } 的地址已改为 { $address }
group-removed = 已删除邮件组 { $address }
groups-none = 还没有邮件组
friends-none = 还没有邀请外部地址加入邮件组
friend-stranger = 已邀请，尚未同意
friend-friend = 已同意
friend-left = 不再接收
friend-suspended = 邮件被退回
friend-forgotten = 已移除 { $address }；再次邀请并同意之前不会向其发送邮件
friend-needs-seat = 仅 VIP 成员可执行此操作
friend-sends-inside = 您只能向本组织内部发送邮件
friend-not-in-group = 该地址不是此邮件组的成员
friend-wants-no-more = 该地址的持有人已退出，不再接收
error-no-friend = 未曾邀请 { $name }，请用“pennypost group friends”查看
list-entry-added = 已添加：{ $entry }
list-entry-there = 已存在：{ $entry }
list-entry-removed = 已删除：{ $entry }
list-entry-missing = 不存在：{ $entry }
policy-set = 策略已设置

## 表格用词

word-tenant = 租户
word-name = 名称
word-state = 状态
word-created = 创建时间
word-domain = 域名
word-catch-all = 错误地址转发
word-address = 地址
word-users = 使用者
word-quota = 容量
word-members = 成员
word-targets = 指向
word-account = 账号
word-accounts = 账号数
word-department = 部门
word-departments = 部门
word-description = 说明
word-title = 职务
word-phone = 电话
word-mobile = 手机
word-staff-number = 工号
word-note = 备注
word-aliases = 别名
word-since = 开始时间
word-until = 保留至
word-kept = 保留中
word-deleted = 已删除
word-unbound = 已解绑
word-withdrawn = 已回收
word-expired = 已过期
word-senders = 可发件人
word-allowed = 允许的发件人
word-representatives = 群组代表
word-tags = 标签
word-shared = 通讯录可见
word-number = 编号
word-scope = 可用于
word-expires = 到期
word-imap = IMAP
word-pop3 = POP3
word-password = 密码
word-passwords = 客户端可用账号密码登录
word-pop3-deletes = 允许 POP3 客户端删信
clients-smtp = 允许客户端发信 (SMTP)
clients-sent-copies = 客户端发出的邮件保存到“已发送”
word-version = 版本
word-blacklist = 黑名单
word-whitelist = 白名单
word-subject-filter = 主题过滤
word-dmarc-reject = 按 DMARC 拒收
word-junk-threshold = 垃圾邮件分数线
word-active = 正常
word-suspended = 停用
word-erasing = 正在清除
word-disabled = 禁用
word-yes = 是
word-no = 否
word-function = 函数
word-trigger = 触发方式
word-stages = 阶段
word-sends = 发往
word-memory = 内存
word-time-limit = 时限

## Running, importing, verifying

failed-open = 无法打开数据目录：{ $cause }
failed-no-data = 没有数据目录 { $data }：请用 --data 指定；“pennypost serve”和“pennypost tenant add”会建立新的目录
failed-not-a-directory = 数据目录 { $data } 不是目录
failed-store = 邮件存储出错：{ $cause }
failed-io = { $cause }
failed-cloud = 无法使用云服务：{ $cause }
config-file = 无法使用配置文件 { $path }：{ $cause }
config-setting = “{ $setting }”不是有效的设置，格式应为 pipeline.fused=false
config-setting-value = 设置“{ $setting }”无效：{ $cause }
config-at = 配置文件 { $path } 第 { $line } 行无效：{ $cause }
config-days = { $name } 为 { $value }：须为天数，且不小于 { $least }
config-too-young = housekeeping.min_age_days 为 { $value }：不得小于 housekeeping.restore_days + 1，即 { $least }
log-filter = PENNYPOST_LOG 无效：“{ $filter }”；例如：info、debug、warn,pennypost_ingress=trace
serve-tls = 无法使用 TLS 证书：{ $cause }
serve-start = 邮局无法启动：{ $cause }
serve-handlers = 内置后端没有其他进程处理事件：请去掉 --handlers，或加上 --backend aws
serve-missing = 找不到以下资源：{ $names }。请部署模板（docs/deploy.md），或用“pennypost create --backend aws”创建；PENNYPOST_STACK、PENNYPOST_BUCKET、AWS_REGION 和 AWS_ENDPOINT_URL 决定查找位置
serve-bind = 无法在 { $address } 上监听 { $name }：{ $cause }
serve-ready = Pennypost 已开门。数据目录：{ $data }
serve-ready-cloud = Pennypost 已开门。邮件存放在 AWS 环境变量所指的服务中。
serve-certificate = TLS 使用自签名证书 { $path }（可换成您自己的 cert.pem 和 key.pem）；邮件客户端第一次会请您确认信任。
serve-demo = 演示账号：{ $accounts } – 密码：{ $password }
serve-next-steps =
    接下来请在另一个终端执行：
      pennypost tenant add acme
      pennypost domain add acme.example --tenant acme
      pennypost account add ann@acme.example
serve-stop = 按 Ctrl-C 停止。
created = 数据目录 { $data } 已就绪。
created-cloud = 数据表、队列和存储桶已就绪。
demo-no-mail = { $path } 处没有示例邮件：演示邮箱将是空的
demo-not-loopback = 演示密码人人皆知：使用 --demo 时不能监听 { $address }，只能监听 127.0.0.1 等本机地址
import-path = 无法导入 { $path }：{ $cause }
import-message = { $place }：{ $cause }
import-mailbox = 邮箱文件夹 { $mailbox } 无法接收邮件：{ $cause }
import-done = 已导入 { $imported } 封，{ $present } 封先前已存在，{ $failed } 封无法读取
verify-violation = 违反不变式 { $invariant }，账号 { $account }：{ $what }
verify-summary = { $accounts } 个账号，{ $messages } 封邮件，{ $entries } 条日志记录，逐字节读取 { $read } 封，{ $traces } 条轨迹，{ $operations } 条管理操作
verify-clean = 所有不变式均成立。
verify-broken = { $violations ->
   *[other] 共 { $violations } 处违反。
 }

## 邮件：mailbox、export、trace、replay、dead-letters

word-role = 用途
word-messages = 邮件
word-unseen = 未读
word-size = 大小
word-date = 日期
word-from = 发件人
word-to = 收件人
word-subject = 主题
word-flags = 标志
word-died = 放弃时间
word-queue = 队列
word-tries = 尝试次数
word-cause = 原因
word-message = 邮件编号
word-accepted = 接收时间
mailbox-missing = { $address } 没有文件夹“{ $name }”，请用“pennypost mailbox { $address }”查看
mailbox-empty = { $name } 中没有这样的邮件
mailboxes-none = 还没有文件夹
export-done = 已从 { $mailboxes } 个文件夹导出 { $messages } 封邮件（{ $size }）；另有 { $skipped } 封已存在
export-some-failed = { $failed } 封邮件未能导出
export-message-failed = 无法读取 { $mailbox } 中的邮件 { $uid }：{ $cause }
export-write = 无法写入 { $path }：{ $cause }
trace-none = 没有找到邮件
trace-submitted = 由 { $address } 提交，{ $protocol }
trace-accepted = 接收自 { $peer }：发件人 { $sender }，{ $size } 字节
trace-reasons = 依据：{ $reasons }
trace-stored = { $address }：已投递到 { $mailbox }，UID { $uid }（日志条目 { $seq }）
trace-not-stored = { $address }：未投递：{ $cause }
trace-now-seen = 现在位于 { $mailbox }，UID { $uid }，已读
trace-now-unseen = 现在位于 { $mailbox }，UID { $uid }，未读
trace-now-deleted = 已于 { $time } 删除（{ $reason }），仍可恢复
trace-now-gone = 已彻底删除
trace-dead = 在队列 { $queue } 中放弃处理：{ $cause }
trace-replayed = 管理员已将其重新放入队列 { $queue }
trace-received = 由 { $by } 接收，编号 { $id }
trace-received-held = 由 { $by } 接收，编号 { $id }，未予收下：{ $cause }
trace-unreached = { $address } 未送达：{ $cause }
trace-outside = { $address }：发往其他服务器
trace-remote = 第 { $number } 次尝试投递到 { $destination }，{ $host }，TLS：{ $tls }
trace-remote-sent = { $address }：对方服务器已接收：{ $answer }
trace-remote-deferred = { $address }：对方暂未接收：{ $answer }
trace-remote-failed = { $address }：投递失败：{ $answer }
trace-was-read = { $address }：已读回执表明对方已阅读
trace-read-receipt = 回执为邮件 { $id }
trace-came-back = { $address }：对方接收后又退回：{ $answer }，由 { $reporter } 报告
trace-remote-smart-host = 中继服务器
trace-remote-by-sender = 发件人（REQUIRETLS）
trace-remote-demand = { $by } 要求使用带有效证书的 TLS
trace-remote-private = { $by } 要求使用带有效证书的 TLS，本次符合要求
trace-remote-not-private = { $by } 要求使用带有效证书的 TLS，本次不符合要求：{ $cause }
trace-remote-next = 将于 { $time } 重试
trace-remote-reported = 已通过邮件 { $id } 告知发件人
trace-being-processed = 正在处理：{ $cause }
trace-quarantined = { $address }：已隔离：{ $cause }
trace-refused = 管理员已终止处理：{ $cause }
replay-message = 邮件 { $id } 已放入队列 { $queue }；服务器（“pennypost serve”）运行时才会处理。已送达的不会重复。
replay-event = 事件已放入队列 { $queue }；服务器（“pennypost serve”）运行时才会处理
replay-no-event = { $path } 中没有事件：{ $cause }
replay-no-tenant = 事件所属的租户 { $tenant } 不在此处，且事件中没有可用来投递的地址
replay-no-account = 事件的收件人 { $address } 不是此处任何账号的地址；见“pennypost account add”
replay-unknown = 找不到 { $id }：没有这样的死信，跟踪记录中也没有这样的邮件
replay-gone = 已没有人保留 { $id } 的副本，无法重新发送
dead-letters-none = 没有死信
dead-letter-missing = 没有死信 { $id }，请用“pennypost dead-letters list”查看
dead-letter-replayed = 死信 { $id } 已重新放入队列 { $queue }；服务器（“pennypost serve”）运行时才会处理
dead-letters-replayed = 已将 { $count } 封死信重新放入队列；服务器（“pennypost serve”）运行时才会处理
dead-letter-refused = 死信 { $id } 已终止，跟踪记录中有原因
dead-letter-unreadable = 该事件与邮件无关，或无法读取
dead-letter-no-header = 无法读取邮件头：{ $cause }

## bench

bench-failed = 测量失败：{ $cause }
bench-head-operation = 操作
bench-head-figure = 指标
bench-head-median = 中位数
bench-head-unit = 单位
bench-head-rounds = 各轮
bench-first = 会话中首次
bench-repeated = 重复执行
bench-accepted = 已接收邮件
bench-visible = IMAP 可见副本
bench-latency-p50 = 响应时间，中位数
bench-latency-p99 = 响应时间，p99
bench-sessions = 会话
bench-operations = 操作
bench-count = 次数
bench-cpu-per-message = 每封邮件的服务器 CPU 时间
bench-cpu-per-operation = 每次操作的服务器 CPU 时间
bench-cpu-quiet = 空闲时的服务器 CPU 时间
bench-memory-before = 服务器内存（PSS），之前
bench-memory-peak = 服务器内存（PSS），峰值
bench-memory-after = 服务器内存（PSS），之后
bench-memory-per-connection = 每个连接的服务器内存（PSS）
bench-generator-share = 负载发生器占用单核的比例
bench-unit-milliseconds = 毫秒
bench-unit-seconds = 秒
bench-unit-per-second = /秒
bench-unit-kibibytes = KiB
bench-unit-pieces = 次
bench-unit-percent = %

## 客户端设置

setup-closed = { $address } 未开启 { $protocol }，请查看“pennypost account clients show { $address }”
setup-all-closed = { $address } 未开启 IMAP 和 POP3，请查看“pennypost account clients show { $address }”
setup-type = 账号类型
setup-server = 收件服务器
setup-port = 端口
setup-security = 加密方式
setup-user = 用户名
setup-password = 账号密码，或为该客户端创建的专用密码
setup-token-only = 为该客户端创建的专用密码（“pennypost account token add”）；不能使用账号密码
setup-outgoing = 发件服务器
setup-outgoing-port = 发件端口
setup-outgoing-login = 发件加密方式和登录
setup-outgoing-same = SSL/TLS，用户名和密码同上
setup-reach = 目前只能发给本企业成员，暂不支持向其他服务器发信。
setup-sent-copies = 发出的邮件由服务器保存到“已发送”，请关闭客户端自己的保存。
setup-local = 服务器仅在本机监听，其他机器上的客户端无法连接。
setup-range = 客户端可收取的邮件范围：{ $range }。
setup-imap-no-folders = 不收取“我的文件夹”。
setup-pop3-folders = 收取收件箱和“我的文件夹”。
setup-pop3-inbox = 收取收件箱。
setup-pop3-keeps = 客户端删除的邮件仍保留在服务器上。
setup-any =
    1. 新建账号，选择手动设置。
    2. 邮箱地址和用户名均填写完整地址 { $address }。
    3. 选择 { $protocol }，服务器填写 { $host }，端口填写 { $port }，加密方式选择 SSL/TLS。
    4. 填写密码。
setup-outlook =
    1. 文件 > 添加帐户：填写 { $address }，展开“高级选项”，勾选“让我手动设置我的帐户”，点击“连接”。
    2. 选择 { $protocol }（POP3 在 Outlook 中显示为 POP）。
    3. 接收邮件：服务器 { $host }，端口 { $port }，加密方法 SSL/TLS；不勾选“要求使用安全密码验证(SPA)进行登录”。
    4. 点击“下一步”，填写密码，点击“连接”。
setup-foxmail =
    1. 菜单 > 账号管理 > 新建 > 其他邮箱 > 手动设置。
    2. 接收服务器类型选择 { $protocol }，邮件账号填写 { $address }，填写密码。
    3. { $protocol } 服务器填写 { $host }，勾选 SSL，端口填写 { $port }。
    4. 点击“创建”。
setup-thunderbird =
    1. 账户设置 > 账户操作 > 添加邮件账户：填写姓名、{ $address } 和密码，点击“手动配置”。
    2. 收件服务器：协议 { $protocol }，主机名 { $host }，端口 { $port }，连接安全性 SSL/TLS，验证方式“普通密码”，用户名 { $address }。
    3. 点击“重新测试”，然后点击“完成”。
setup-apple-mail =
    1. Mac：“邮件” > 添加账户 > 其他邮件账户。iPhone 和 iPad：设置 > App > 邮件 > 邮件账户 > 添加账户 > 其他 > 添加邮件账户。
    2. 填写名称、{ $address } 和密码；无法验证时继续手动填写。
    3. 账户类型选择 { $protocol }（POP3 显示为 POP），收件服务器填写 { $host }，用户名填写 { $address }。
    4. 在账户的服务器设置中：使用 SSL/TLS，端口 { $port }。

## 云函数

function-queue = 队列 { $queue }，每批 { $batch } 条
function-http = HTTP 请求
function-schedule = 每 { $minutes } 分钟

## 信件的成本

cost-prices = 无法使用价格表：{ $cause }
cost-head-item = 项目
cost-head-quantity = 用量
cost-head-per-million = 每百万封信（{ $currency }）
cost-total = 合计
cost-head-cost = { $currency }
cost-head-tenant = 租户
cost-head-messages = 邮件数
cost-head-deliveries = 投递数
cost-head-bytes = 字节数
cost-nothing-billed = 这里没有计量：本机上没有按用量计费的服务。
cost-what-if = 每天 { $messages } 封，每封 { $recipients } 个收件人、{ $size } 字节，{ $tenants } 个租户共 { $users } 个用户，区域 { $region }（价格日期 { $date }）
cost-tenant-each = 平均每个租户每月 { $cost } { $currency }，每个用户 { $user } { $currency }。
cost-measured = 无法读取实测表：{ $cause }

## Roles, keys, the log of operations

administration-missing = 没有该{ $what ->
    [account] 账号
    [key] 密钥
    [role] 角色
    [session] 会话
    [task] 任务
    [secretary] 秘书
    [invitation] 邀请
    [owner] 邮箱主人
    [mailbox] 业务邮箱
    [token] 客户端专用密码
    [passkey] 通行密钥
    [subscription] 订阅
    [provider] 身份提供方
    [binding] 绑定
    [bulletin] 公告
    [letter] 邮件
    [alias] 别名
    [department] 部门
    [domain] 域名
    [forward-target] 转发地址
    [friend] 外部成员
    [group] 邮件组
    [mailing] 群发任务
    [order] 订单
    [request] 申请
    [sign-up] 注册申请
    [suppressed-address] 名单中的地址
    [tag] 标签
    [template] 模板
    [tenant] 租户
    [terms] 条款版本
   *[other] 对象
 }
role-added = 已创建角色“{ $name }”
role-removed = 已删除角色“{ $name }”
role-granted = { $address } 现已拥有角色“{ $role }”
role-revoked = { $address } 不再拥有角色“{ $role }”
role-taken = 已有同名的角色
role-held = 仍有人拥有该角色；请查看“pennypost role holders”
role-missing = 没有角色“{ $name }”；请查看“pennypost role list”
role-permissions = 至少需要一项权限，且租户不能使用 installation 权限；请查看“pennypost role add --help”
roles-none = 还没有角色
grants-none = 还没有人拥有角色
key-added = 已创建密钥“{ $name }”（{ $id }）
key-once = 密钥（仅显示一次）：{ $key }
key-revoked = 密钥 { $id } 已失效
key-past = 到期时间已过
keys-none = 还没有密钥
log-none = 没有操作记录
word-permissions = 权限
word-used = 上次使用
word-by = 操作者
word-operation = 操作
word-object = 对象
word-outcome = 结果

between-sentences = ；
password-too-short = 少于 { $min } 个字符
password-too-long = 超过 { $max } 个字符
password-control = 含有控制字符
password-classes = 大写字母、小写字母、数字、其他字符中至少要有 { $wanted } 种
password-capital = 没有大写字母
password-sequence = 含有三个相同或连续的字符，例如 123 或 aaa
password-account-name = 含有帐号名或使用者姓名
password-used = 与最近 { $history } 个密码之一相同
sign-in-excludes-you = 该规则会使您无法从当前地址登录
sign-ins-no-record = 此处不保存登录记录
sign-in-secure-forced = 管理员已强制开启安全登录
sign-in-old-password = 原密码不正确
sign-in-addresses-unsaid = 没有要设置的内容：请给出 --allow、--deny、--others 或 --any
sign-in-others-allow = 其他地址允许登录
sign-in-others-deny = 其他地址禁止登录

word-issuer = 签发者
word-lets-in = 准许登录
providers-none = 没有身份提供方
provider-added = 已添加，编号 { $id }；有人通过它登录时才会首次访问
provider-changed = 已修改 { $id }
provider-removed = 已移除 { $id }，任何人都不能再通过它登录
provider-off = 无人
provider-bound = 已绑定的成员
provider-email = 已绑定的成员，或其核实过地址的成员
provider-failed = 身份提供方的应答异常：{ $cause }
provider-issuer = issuer 须为 https://主机，可带路径，不得含其他内容
provider-secret = 客户端密钥须为 1 至 { $limit } 字节，且不含控制字符

# 供其他程序使用的新邮件通知。
notices-none = 没有程序订阅新邮件通知
notice-added =
    已添加，编号 { $id }
    签名密钥（仅显示这一次）：{ $secret }
notice-removed = 已移除 { $id }
notice-on = { $id } 已启用
notice-off = { $id } 已停用，不再发送通知
notice-taken = 接收方已接受
notice-not-taken = 接收方的应答状态为 { $status }
notice-not-reached = 无法连接接收方：{ $cause }
notice-going = 已接受 { $taken } 条通知
notice-failing = 已接受 { $taken } 条通知，自 { $since } 起未再接受（{ $last }）；将于 { $next } 重试
notice-state-on = 启用
notice-state-off = 停用
notice-state-paused = 已暂停（{ $cause }）
notice-unread = { $address } 的收件箱有 { $count } 封未读邮件
notice-no-mail = 此处无法查看邮件
notice-receiver = 接收地址须为 https://主机，可带端口、路径和查询参数，不得含其他内容
notice-subscription = 订阅至少包含一种通知，指定的账号和部门合计最多 { $limit } 个
word-receiver = 接收地址
word-events = 通知

# 邮件所用的名称、服务协议与订单。
names-of-programs = 邮件使用邮件客户端所写的名称
names-of-administrators = 邮件使用管理员设定的名称
names-in-form = 邮件使用管理员设定的名称，格式为 { $form }
names-given = 邮件昵称由管理员统一设定，成员不可修改
letters-none = 该账号没有收到或发出这封邮件
letters-hidden = 已隐藏 { $address } 的 { $count } 封邮件
letters-shown = 已恢复显示 { $address } 的 { $count } 封邮件
letters-deleted = 已删除 { $address } 的 { $count } 封邮件
letters-ordered = 由任务 { $id } 执行
letters-hidden-title = 邮件已被隐藏
letters-hidden-text = 运营者已隐藏邮箱 { $address } 中的 { $count } 封邮件：{ $reason }
letters-shown-title = 邮件已恢复显示
letters-shown-text = 运营者已恢复显示邮箱 { $address } 中的 { $count } 封邮件：{ $reason }
letters-deleted-title = 邮件已被删除
letters-deleted-text = 运营者已删除邮箱 { $address } 中的 { $count } 封邮件：{ $reason }
sending-who = 对象
scanning-virus = 收到含病毒的邮件：{ $what }；通知收件人：{ $told }
scanning-gets-notice = 病毒通知仅含简短说明
scanning-gets-rest = 病毒通知附带去除染毒附件后的邮件其余内容
scanning-virus-quarantine = 隔离
scanning-virus-delete = 删除
scanning-spam = 垃圾邮件扫描分值：{ $junk }进垃圾箱，{ $quarantine }隔离，{ $delete }删除
scanning-from = 达到 { $points } 分时
scanning-never = 从不
scanning-silence = 病毒扫描器无应答时邮件{ $virus }，垃圾邮件扫描器无应答时邮件{ $spam }
scanning-hold = 等待
scanning-pass = 标记后放行
scanning-points = 分值须在 0.01 至 1000 之间；0 表示从不
scanning-order = 进入垃圾箱的分值不得高于隔离的分值，隔离的分值不得高于删除的分值
quarantine-empty = 隔离区为空
quarantine-letter = 邮件
quarantine-for = 收件人
quarantine-state = 状态
quarantine-from = 发件人
quarantine-subject = 主题
quarantine-held = 已隔离（{ $held_for }）
quarantine-is-released = 已放行
quarantine-is-deleted = 已删除
quarantine-one = 收件人 { $address }，发件人 { $from }：{ $subject }（{ $state }；{ $reasons }）。将于 { $until } 清除。
quarantine-released = 已放行，正在投递到 { $address }
quarantine-digest-on = 每天向 { $address } 发送隔离区疑似垃圾邮件摘要
quarantine-digest-off = 不向 { $address } 发送隔离区摘要
quarantine-digest-junk = 每天告知 { $address } 有哪些邮件进入了垃圾邮件夹
quarantine-deleted = 已从 { $address } 的隔离区删除
footer-bad-name = 名称为 1 至 { $limit } 个字符，不得含 / 或 *，首尾不得有空白
footer-twice = 已有同名项
footer-unknown = 没有该名称的信脚
footer-bad-text = 文本为 1 至 { $limit } 个字符，最多 { $lines } 行，不得含控制字符
footer-bad-html = HTML 不得为空，最多 { $limit } 字节，不得含控制字符
footer-html-open = HTML 中有标签未结束
footer-html-unbalanced = HTML 中 { $name } 的开始与结束不匹配
footer-html-element = 插入邮件的内容不得含 { $name }：仅限文字、表格和图片元素
footer-html-attribute = 不得使用属性 { $name }，或其值不被允许
footer-html-address = HTML 中的链接须以 https://、http://、mailto: 或 tel: 开头
footer-html-comment = 插入邮件的内容不得含注释和声明
footer-bad-word = 没有名为 { "{" }{ $word }{ "}" } 的占位符：可用 name、department、title、company、phone、email
footer-nowhere = 请指明用于组织内部邮件、外发邮件，或两者
footer-too-large = 全部信脚和名片总长度过大：每个组织共 128 KB
card-compulsory-twice = 部门 { $department } 已有强制名片：{ $card }
card-not-offered = 该账号没有此名片可选
card-locked = 该账号使用强制名片，无需选择
letter-card-assigned-subject = 您获得一张名片：{ $card }
letter-card-stopped-subject = 名片已停用：{ $card }
letter-card-assigned =
    您的组织为您分配了名片“{ $card }”，可显示在您邮件的末尾。您可以选用它，并设为用于所有邮件。
letter-card-compulsory =
    您的组织为您分配了名片“{ $card }”。自现在起，它将显示在您所有邮件的末尾。
letter-card-stopped =
    您的组织不再为您提供名片“{ $card }”，它不会再出现在您的邮件中。
footer-name = 信脚
footer-place = 位置
footer-letters = 邮件
footer-above = 个人签名上方
footer-below = 末尾
footer-inside = 内部
footer-outside = 外发
footer-both = 内部和外发
footer-in-force = 使用中
footer-disclaimer = 免责声明（外发）
footer-none = 邮件中不插入任何内容
footer-none-of = 无信脚
footer-missing = 没有信脚 { $name }
footer-removed-used = { $name } 正在使用：请先换用其他信脚，或停用
footer-file = 无法读取 { $file }：{ $cause }
card-name = 名片
card-departments = 部门
card-state = 状态
card-compulsory = 强制
card-optional = 可选
card-unpublished = 未发布
card-none = 没有名片
card-missing = 没有名片 { $name }
card-chosen = 已选
card-always = 已选，用于所有邮件
route-bad-destinations = 目的地须为 *（全部）、一个域名，或 *. 加域名（其所有子域名）
route-bad-host = 中继服务器须为带点的主机名或 IP 地址，端口为 1 至 65535
route-bad-region = 没有此 Amazon SES 区域；中国区请将其主机作为中继服务器填写
route-bad-login = 用户名、密码和密钥各须为 1 至 { $limit } 字节，且不含控制字符
route-no-password = 请填写密码：尚无该用户在此主机和端口上的密码
route-bad-identity = 问候所用名称须为带点的主机名；地址须为本机的 IP 地址
route-too-many = 每个组织最多 { $limit } 条外发路由
route-no-host = 未为这些目的地设置中继服务器，无可测试
route-not-from-here = 此处无法测试服务器
route-destinations = 目的地
route-way = 路由
route-user = 用户名
route-identity = 身份
route-by-mx = 按 DNS（MX）
route-by-host = { $host }:{ $port }，{ $tls }
route-by-ses = Amazon SES { $region }：{ $host }:{ $port }，{ $tls }
route-starttls = STARTTLS
route-implicit = TLS
route-none = 外发邮件与整个系统的默认方式相同
route-set = { $tenant } 发往 { $to } 的邮件今后经由：{ $way }；等待中的邮件在一分钟内也将如此
route-cleared = 已取消 { $tenant } 发往 { $to } 的路由设置
route-one-way = 请指定 --mx、--smart-host 和 --ses 之一
route-port-only-ses = --port 仅用于 --ses；中继服务器的端口写在主机名之后
route-good = { $host } 允许 { $user } 登录（{ $tls }）；未发送任何邮件
route-good-open = 已通过 { $tls } 连接 { $host }；未发送任何邮件
route-bad = { $host } 拒绝接收：{ $cause }
route-unreached = 无法连接中继服务器：{ $cause }
sending-no-rules = 所有成员均可对外发信，频率不限
sending-whom = 请指定账号、部门或标签
sending-limit-bad = 限制须为 1 至 44640 分钟内 1 至 1000000 封
sending-none = 禁止外发
sending-any = 频率不限
sending-within = { $minutes } 分钟内最多 { $messages } 封
sending-of = { $address } 对外发信：{ $allowed }
sending-used = 已发送 { $sent } 封，将于 { $until } 重新计数
content-bad-rules = 最多可有 { $limit } 条规则
content-bad-name = 规则名称须为 1 至 { $limit } 个字符，不含控制字符，首尾无空格
content-name-taken = 已有同名规则
content-bad-text = 给发信人的提示须为一行，最多 { $limit } 字节
content-bad-conditions = 一条规则须有 1 至 { $limit } 个条件
content-bad-words = 一个条件须有 1 至 { $limit } 项
content-bad-all-words = 全部规则合计最多 { $limit } 个关键词
content-bad-word = 关键词须为 1 至 { $limit } 个字符，不含控制字符
content-bad-least = 须为 1 至 { $limit } 之间的数
content-bad-patterns = 全部规则合计最多 { $limit } 个正则表达式
content-pattern-length = 正则表达式须为 1 至 { $limit } 个字符
content-pattern-large = 该正则表达式占用内存过多，请减少重复次数，或以 [0-9] 代替 \d、以 [0-9A-Za-z] 代替 \w
content-pattern-empty = 该正则表达式可匹配空文本，请至少要求一个字符
content-pattern-syntax = 无法识别该正则表达式，第 { $at } 个字符处：{ $cause }
content-bad-ending = 扩展名不带点，例如 xlsx；类型例如 application/pdf 或 image/*
content-bad-size = 大小至少为一个字节
content-nobody = 须指定存在的部门、标签或帐号；若针对所有人则不作指定
content-bad-targets = 一条规则最多指定 { $limit } 个部门、标签和帐号，全部规则合计最多 { $tags } 个标签
content-too-large = 全部规则过长：每个组织最多 64 KB
content-at = { $place }：{ $cause }
content-rule = 规则
content-holds = 是否符合
content-condition = 条件
content-found = 数量
content-sample = 示例
content-refused = 不予发送
content-goes = 可以发送
rules-said = { $member } 有 { $rules } 条收信规则，黑名单 { $refused } 个，白名单 { $trusted } 个
rules-none = 没有收信规则
rules-unreadable = 已保存的规则已损坏，无法显示；重新设置之前，收信时不使用这些规则
rules-asks = 条件
rules-does = 动作
rules-by = 命中
rules-into = 归入
receipt-answered = 该邮件的阅读回执已发送或已拒绝
rules-running = 该帐号正在对历史邮件执行规则
rules-run = 已检查 { $folder } 中的 { $looked } 封邮件，其中 { $changed } 封有变动
rules-run-later = 由任务 { $id } 对 { $folder } 执行规则
rules-run-damaged = { $damaged } 封邮件已损坏，保持原样
rules-not-repeated = 对历史邮件不会转发、自动回复或拒收
rules-refused = 拒收
rules-imported = { $member } 有 { $rules } 条收信规则，依 { $path } 设置
rules-no-letters = 没有邮件
rules-no-rule = 没有规则 { $name }
rules-file = 无法理解 { $path }：{ $cause }
automatic-reply = 自动回复
automatic-forward = 自动转发
automatic-target = 转发至 { $address }：{ $state }
automatic-none = 否
automatic-kept = 并保留
automatic-period = { $from } 至 { $until }（{ $zone }）
automatic-nothing = 没有要更改的内容：请指定地址，或使用 --on、--off、--remove
automatic-may-not = 本组织不允许 { $member } 自动转发：设置已保留，但不会执行
forwarding-everybody = 自动转发
read-status-off = { $name } 的成员看不到所发邮件是否已读
read-status-on = 自 { $since } 起，{ $name } 的成员可以看到同事是否已读其所发邮件
read-status-later = 自 { $since } 起，{ $name } 的成员将可以看到同事是否已读其所发邮件
forwarding-allowed = 允许
forwarding-forbidden = 禁止
word-on = 启用
word-off = 停用
word-time = 时间
word-outside = 对外发信
word-tag = 标签
word-everybody = 所有成员
terms-none = 尚未发布服务协议
terms-published = 第 { $number } 版自现在起生效
terms-not-accepted = 尚无人接受任何服务协议
bulletins-none = 没有公告
contact-none = 尚未设置联系人
contact-is = 管理员的联系人为 { $who }
bulletin-published = 公告 { $number } 已发布
bulletin-withdrawn = 公告 { $number } 已撤回
orders-none = 没有订单
order-unpaid = 未支付
word-who = 操作者
word-edition = 版本
word-seats = 名额
word-amount = 金额
word-ends = 到期
word-paid = 支付
binding-elsewhere = 该身份已绑定到另一位成员
recovery-refused = 所提供的内容不能用于设置密码，或暂时不可用
recovery-elsewhere = 此处无法向该地址发送邮件：请使用本组织的邮箱地址
recovery-own-address = 该地址就是此帐号本身的地址
recovery-no-mailbox = 恢复地址须为其他成员本人的邮箱地址，不能是别名、群组、公共邮箱或带标签的地址
letter-business-subject = 您可以使用业务邮箱 { $name }
letter-business =
    您现在可以使用业务邮箱 { $name }（{ $address }）。
    可在网页邮箱中使用；如需在客户端中使用，请在设置中生成专用密码。
letter-secretary-wish-subject = 有同事申请成为您的秘书
letter-secretary-wish =
    { $who }申请成为您的秘书，代您处理邮件。
    请在设置中答复；在您同意之前，对方没有任何权限。
letter-secretary-granted-subject = 您已成为秘书
letter-secretary-granted =
    { $who }已将您设为秘书，有效期至 { $until }。
letter-secretary-refused-subject = 您的秘书申请未获同意
letter-secretary-refused =
    { $who }没有同意您的秘书申请。
sms-code = 您的邮箱验证码为 { $code }，{ $minutes } 分钟内有效，请勿告诉他人。
sms-invitation = { $organisation } 为您开通了邮箱 { $login }，请用以下邀请设置密码，仅可使用一次：{ $invitation }
mobile-refused = 尚未绑定经过验证的手机号码，或该号码正用于短信二次验证
sign-up-refused = 此处不提供该功能
trial-only = 该企业仅有试用域名，无法认证
sms-none = 此处不发送短信
sms-failed = 短信未能发送：{ $cause }
invitation-not-tried = 尚未尝试：之前的操作耗时过长或失败
letter-mobile-subject = 您的手机号已更改
letter-mobile-set =
    { $login } 现可用手机号 { $number } 登录及重设密码。
    如非本人操作，请移除该手机号、修改密码并退出其他会话。
letter-mobile-removed =
    { $login } 的手机号已移除，不能再用其登录。
    如非本人操作，请修改密码并退出其他会话。
letter-read-status-subject = 同事将能看到您是否已读其邮件
letter-read-status =
    自 { $since } 起，您所在组织的成员可以看到其在组织内所发的每封邮件是否已被收件人阅读。
    仅适用于此后发送的邮件。组织以外的任何人都看不到。
letter-password-expires-subject = 您的密码即将过期
letter-password-expires =
    { $login } 的密码将于 { $end } 过期。
    请在此之前在设置中修改密码，以免影响登录。
letter-invitation-subject = { $organisation } 为您开通了邮箱
letter-invitation =
    { $organisation } 为您开通了邮箱 { $login }。
    请在 { $until } 之前用以下邀请设置初始密码，仅可使用一次：
    { $invitation }
    如您与 { $organisation } 无关，无需理会。
letter-friend-subject = { $organisation } 希望向您发送邮件
letter-friend =
    { $organisation } 希望将其成员发往 { $group } 的邮件发送给您。
    如您同意，请在一周内打开以下页面并确认：
    { $link }
    如不同意，无需理会，您不会收到任何邮件。
letter-recovery-changed-subject = 您的恢复地址已更改
letter-recovery-changed =
    { $login } 忘记密码时的联系地址现为 { $address }。
    如非本人操作，请移除该地址、修改密码并退出其他会话。
letter-recovery-removed =
    { $login } 的恢复地址已移除。
    如非本人操作，请修改密码并退出其他会话。
forward-not-allowed = 本组织不允许此帐号将邮件自动转发至外部地址
letter-forward-set-subject = 您的邮件将被自动转发
letter-forward-set =
    邮件系统的运营者已设置将 { $login } 的邮件自动转发至 { $targets }。
    您可在设置中查看邮件转发至哪些地址；如非所愿，请在设置中将其移除。
letter-forward-code-subject = 有人希望将邮件转发给您
letter-forward-code =
    { $login } 的邮件将自动转发至此地址。
    如您同意，请将验证码 { $code } 告知 { $login } 的使用者，{ $hours } 小时内有效。
    如您不同意，无需理会：不会有邮件转发给您。
letter-forward-subject = 邮件可转发至新的地址
letter-forward =
    { $login } 的邮件今后可转发至 { $address }：该地址收到的验证码已确认。
    如非本人操作，请从自动转发中移除该地址，修改密码并退出其他会话。
letter-recovery-code-subject = 确认此地址
letter-recovery-code =
    此地址将作为 { $login } 忘记密码时的联系地址。
    验证码为 { $code }，{ $minutes } 分钟内有效。
    如非本人操作，无需理会。
letter-sign-up-code-subject = 开通邮箱服务的验证码
letter-sign-up-code =
    验证码为 { $code }，{ $minutes } 分钟内有效。
    如非本人操作，无需理会。
letter-recovery-subject = 设置新密码
letter-recovery =
    有人请求为 { $login } 设置新密码。
    请在 { $minutes } 分钟内提交以下内容，仅可使用一次：
    { $secret }
    如非本人操作，无需理会：密码不会改变。
rule-min-length = 密码最少字符数
rule-max-length = 密码最多字符数（0 为不限）
rule-classes = 字符种类数
rule-capital = 必须含大写字母
rule-no-sequences = 禁止 123、aaa 等连续或相同字符
rule-no-account-name = 禁止含帐号名或姓名
rule-history = 不得与最近几个密码相同
rule-lifetime = 密码有效天数（0 为永久）
rule-expires-in-clients = 过期密码在客户端同样失效
rule-change-first = 首次登录须修改管理员设置的密码
rule-lock-count = 锁定帐号的密码错误次数（0 为不锁定）
rule-lock-window = 错误次数的统计分钟数
rule-lock-minutes = 锁定分钟数（0 为直到解锁）
rule-trusted = 登录锁定白名单网段
rule-addresses = 允许登录的地址
rule-exempt-accounts = 不受限制的帐号
rule-exempt-departments = 不受限制的部门
rule-secure = 全员安全登录（仅凭密码不能登录）
rule-secure-own = 本人开启的安全登录
rule-secure-forced = 管理员强制的安全登录
rule-as-tenant = 与租户规则相同
lock-strangers = 陌生网络
lock-codes = 二次验证码（{ $place }）
lock-until-unlocked = 直到解锁
locks-none = 没有被锁定的帐号
account-unlocked = 已解锁 { $address }
sign-ins-none = 没有登录记录
absent-none = 所有帐号均已登录过
statistics-nowhere = 此处无法读取邮件轨迹
statistics-none = 没有收发邮件
statistics-no-mailboxes = 尚未统计邮箱容量：后台每天统计一次
statistics-uncounted = 未统计
statistics-counted = 已统计所有已结束的日期
word-letters-received = 收信
word-bytes-received = 收信字节
word-letters-sent = 发信
word-bytes-sent = 发信字节
word-holds = 已用
word-signed-in = 登录帐号
word-total = 合计
word-for-whom = 锁定范围
word-failures = 错误次数
word-count = 次数
word-kind = 方式
word-program = 客户端
word-failed = 失败
word-locked = 锁定
word-never = 从未
word-last-sign-in = 最近登录
word-locked-until = 锁定至
word-last-use = 最近使用

## 域名与解析记录

service-unsaid = 尚未设置域名应指向的服务器，见“pennypost service set --help”
service-no-pages = 尚未设置用户页面所在的主机，见“pennypost service set --help”
service-bad = 设置无效：{ $cause }
service-set = 已设置。所有租户的域名今后应指向这些服务器，见“pennypost domain check”
domain-owned = 该域名的所有权已经确认
domain-locked = 该域名的邮件尚未指向本系统，租户要求生效后才能添加，见“pennypost domain check”
not-confirmed = 未确认：请提交“pennypost domain remove”（不带 --confirm）显示的确认码
no-look-ups = 此处无法查询 DNS，见 PENNYPOST_DNS
domain-claimed = 已登记 { $name }。请在其解析中设置以下任一记录，然后运行“pennypost domain verify”：
domain-verified = { $name }：{ $state }
domain-is = { $name }：{ $state }
domain-state = { $state ->
    [pending] 已登记，所有权未验证
    [conflict] 所有权已验证，但已被其他租户使用
    [proved] 所有权已确认
    [active] 正常
    [suspended] 已暂停
   *[removing] 正在注销
 }
domain-found = { "  " }现有：{ $value }
domain-set = { "  " }应设：{ $line }
doctor-good = 正常：{ $list }
doctor-comma = 、
doctor-problems = { $name } 的邮件会因 { $count } 个问题被拒收或隔离
doctor-fine = { $unknown ->
    [0] 没有发现收信方会不满意 { $name } 的地方
   *[other] 没有发现收信方会不满意 { $name } 的地方；有 { $unknown } 项无法检查
 }
domain-alias = { $name } 今后作为 { $of } 的别名域
domain-no-alias = { $name } 不再是别名域
domain-removed = { $name } 已注销，其账号已移入回收站
domain-removal = 注销 { $name } 会同时处理：{ $accounts } 个账号（移入回收站）、{ $aliases } 个别名、{ $groups } 个群组。请先备份邮件并通知往来联系人。继续请加 --confirm { $code }
no-sealing = 此处没有用于加密保存机密的密钥，见 PENNYPOST_SEALING_KEYS
word-selector = 选择器
word-algorithm = 算法
domain-keys-none = 还没有密钥，见“pennypost domain dkim add --help”
domain-key-made = 已生成密钥 { $key }。请设置其解析记录，然后运行“pennypost domain check”：
domain-key-not-made = 未能生成密钥：{ $cause }
domain-key-waits = 已有同类密钥在等待设置解析记录：请设置后运行“pennypost domain check”，或先撤销该密钥
domain-key-withdrawn = 今后不再使用 { $key } 签名，可以删除其解析记录
domain-key-rotation = 密钥使用 { $after } 天后自动生成新密钥；被替换的密钥的记录再保留 { $publish } 天
domain-key-no-rotation = 不自动生成新密钥；被替换的密钥的记录再保留 { $publish } 天
domain-key-rotation-bad = 密钥的使用期须为 7 至 3650 天，停用后记录保留 1 至 90 天
domain-key-state = { $state ->
    [waiting] 等待设置记录
    [active] 使用中
    [retiring] 已被替换，记录须保留
   *[removed] 已停用，可删除记录
 }
domain-tls-none = { $name } 在此处没有 TLS 策略
domain-tls-bad = TLS 策略的有效期须为 86400 至 31557600 秒
error-alias-domain = { $name } 是别名域：地址须建在其对应的域名下，也不能再作为其他别名域的目标
error-domain-not-empty = { $name } 下仍有地址，或有其他域名是它的别名域
error-domain-state = { $name } 当前的状态不允许该操作
session-life = 会话时长须为 15 分钟至 90 天，空闲时间至少 5 分钟且不得长于会话时长
sessions-none = 没有会话
sessions-ended = 已结束 { $address } 的 { $count } 个会话
second-factor-on = 启用于 { $since }；剩余恢复码：{ $codes }
second-factor-sms = 验证码通过短信发送至成员的手机号码
second-factor-gone = { $address } 不再有二次验证
second-factor-of-nobody = 不要求
second-factor-of-administrators = 管理员
second-factor-of-everybody = 所有成员
security-idle = 会话最长空闲时间（分钟）
security-whole = 会话最长有效时间（分钟）
security-second-factor = 要求二次验证
security-four-eyes = 不可撤销的操作须由另一位管理员确认
second-factor-none = 尚未设置二次验证
second-administrator = 须由另一位管理员确认
order-large = 需要另一位管理员确认的请求最多 { $limit } 字节
code-wrong = 验证码错误或已使用
passkey-wrong = 通行密钥未被接受
passkey-row = 通行密钥 { $name }：创建于 { $made }，最近使用 { $used }
passkey-unused = 从未

task-not-permitted = 下达该任务的人已不再具有所需的权限
task-no-file = 待导入的文件已不存在或已损坏
task-given-up = 多次尝试仍未完成，已放弃
task-broken = 无法执行，原因请查看服务器日志
task-replaced = 执行期间程序已更换版本，请重新提交，并跳过已存在的项
task-no-target = 接收备份的账号已不存在或已停用
task-no-account = 该账号已不存在
task-newer-order = 针对这些邮件的更新指令已先行处理
task-no-letters = 这些邮件已无可处理的内容
task-no-receipt = 无法向索要回执的地址发送回执
task-no-folder = 该文件夹已不存在
task-no-source = 待备份的账号已移出回收站，或正在被彻底删除
task-no-room = 目标账号剩余 { $free } 字节，而待备份的邮件有 { $needed } 字节
task-over = 该任务已结束
task-no-result = 没有可读取的结果：任务尚未结束，或结果已过保留期
task-no-rows = 文件中没有数据行
task-nowhere = 此处不执行后台任务
task-cancelled = 任务 { $id } 将在下一步之前停止；已完成的部分保留
task-queued = 等待中
task-running = 进行中
task-done = 已完成
task-failed = 失败
task-stopped = 已取消
tasks-none = 没有任务
word-progress = 行数
word-groups = 邮件组
word-skipped = 此前已存在
word-refused = 未被接受
word-ended = 结束时间

business-added = 已新建业务邮箱 { $address }，使用者 { $count } 个
business-users = { $address } 现有使用者 { $count } 个
business-no-users = 尚无使用者
business-none = 没有业务邮箱
business-is-none = { $address } 不是业务邮箱，请用“pennypost business list”查看
secretary-ended = { $secretary } 不再是 { $owner } 的秘书
secretary-applies = 申请中
secretary-none = 没有
secretary-until = 有效期至
invitation-once = 邀请（仅显示一次）：{ $invitation }
    可使用 { $uses } 次，有效期至 { $until } UTC
invitation-revoked = 邀请 { $id } 已失效
invitation-state = { $state ->
    [good] 有效
    [past] 已过期
    [revoked] 已撤销
   *[used-up] 次数已用完
 }
invitations-none = 没有邀请
joining-rules = 允许邀请加入：{ $open ->
    [yes] 是
   *[no] 否
 }；需管理员审核：{ $approval ->
    [yes] 是
   *[no] 由邀请决定
 }；成员可邀请同事：{ $colleagues ->
    [yes] 是
   *[no] 否
 }；部门：{ $department }；域名：{ $domain }
application-approved = { $address } 已加入
application-refused = 已拒绝 { $address } 的申请
application-state = { $state ->
    [waiting] 待审核
    [joining] 正在添加
    [joined] 已加入
   *[refused] 已拒绝
 }
applications-none = 没有人申请
account-recovered = { $address } 可用此密码登录（仅显示一次），登录后须立即修改：{ $password }
profile-contact = 联系地址最多 { $limit } 个字符，且不含控制字符
profile-logo = 标志须为 PNG、JPEG 或 WebP，最多 { $limit } 字节
profile-file = 无法读取文件 { $path }：{ $cause }
word-contact = 联系地址
word-logo = 标志
word-short-name = 简称
creator-leaves = 创建者须先移交企业，才能退出
not-joined-none = 所有成员都已设置密码

## 租户的套餐

word-unlimited = 不限
word-vip = VIP
plan-none = { $name } 没有套餐，不受任何限制
plan-from = 该租户还没有套餐：请指定以哪个版本为基础，例如 --from basic
plan-term = 套餐的到期时间须晚于起始时间
plan-edition = 版本
plan-seats = 账号数
plan-vip-seats = VIP 名额
plan-business = 业务邮箱
plan-capacity = 普通邮箱容量（字节）
plan-vip-capacity = VIP 邮箱容量（字节）
plan-business-capacity = 业务邮箱容量（字节）
plan-daily = 每日发信额度
plan-daily-account = 每个帐号的每日发信额度
plan-starts = 服务起始日
plan-ends = 到期时间
plan-verification = 主体验证
plan-verified = { $state ->
    [verified] 已验证
    [certified] 已认证
   *[unverified] 未验证
 }
plan-payment = 付款
plan-paid = { $state ->
    [trial] 试用
    [unpaid] 已下单，未付款
    [paid] 已付款
   *[free] 免费
 }
plan-pay-by = 付款期限
plan-functions = 功能
plan-lowered = 未按期付款：付款之前没有专业功能和 VIP 名额，邮箱容量按基础版计算
plan-seats-taken = 套餐的 { $seats } 个账号名额已用完；请查看“pennypost plan show”
plan-vip-seats-taken = 套餐的 { $seats } 个 VIP 名额已用完，其中 { $business } 个由业务邮箱占用；请查看“pennypost plan show”
plan-business-taken = 套餐目前最多允许 { $allowed } 个业务邮箱：基本数量（通常为 3 个）加上未分配的 VIP 名额；请查看“pennypost plan show”
plan-no-vip = 该租户没有套餐，因此没有 VIP 名额；请查看“pennypost plan set --help”
plan-not-vip = { $address } 不是 VIP：只有 VIP 成员的邮箱可以转为业务邮箱；请查看“pennypost plan assign --help”
plan-no-secretaries = { $address } 不是 VIP：只有 VIP 成员可以设置邮箱秘书；请查看“pennypost plan assign --help”
plan-not-in = 套餐不包含功能 { $function }；请查看“pennypost plan set --help”
plan-domains = 套餐最多允许 { $limit } 个域名
vip-assigned = { $address } 已分配 VIP 名额
vip-withdrawn = { $address } 的 VIP 名额已收回
seats-recounted = { $name } 的账号名额计数有误，已重新统计
seats-right = { $name } 的账号名额计数无误
vips-none = 没有成员分配 VIP 名额

## Reports to senders

tls-report = { $start } 至 { $end } 期间与 { $domain } 的邮件服务器建立 TLS 的情况：{ $good } 次会话符合要求，{ $bad } 次不符合要求。详情见附件（RFC 8460）。
dmarc-report = { $start } 至 { $end } 期间我们收到的以 { $domain } 名义发送的邮件：{ $good } 封通过 DMARC，{ $bad } 封未通过。详情见附件（RFC 7489）。
mail-report-kind = 类型
mail-report-by = 报告方
mail-report-none = 暂无任何报告。
mail-report-no-addresses = 尚未指定接收报告的地址：请用 --add 指定。
mail-report-says = 内容
mail-report-dmarc = { $good } 封通过，{ $bad } 封未通过
mail-report-tls = { $good } 次 TLS 符合要求，{ $bad } 次不符合
mail-report-complaint = { $what } { $address }
suppressed-none = 没有停发群发邮件的地址。
suppressed-added = 已有 { $count } 个地址不再接收群发邮件。
suppressed-removed = { $address } 将重新接收群发邮件。
suppressed-by-administrator = 管理员
suppressed-by-complaint = 收到投诉
suppressed-by-bounce = 地址不存在
report-forward-subject = 有邮件未能转发
report-forward = 一封为您自动转发的邮件无法送达以下地址，系统不再重试：
virus-report-subject = 您的邮件含有病毒，未发送
virus-report = 您的邮件“{ $subject }”含有病毒 { $virus }，未发送给任何人。请检查您发送该邮件所用的设备；如有疑问，请联系管理员。
virus-notice-subject = 发给您的一封邮件含有病毒
virus-notice-kept = { $from } 发给您的邮件“{ $subject }”含有病毒 { $virus }，已隔离保留七天。如有需要，请联系管理员。
virus-notice-deleted = { $from } 发给您的邮件“{ $subject }”含有病毒 { $virus }，已按您所在组织的设置删除。
virus-notice-rest = 该邮件的其余内容见附件，其中含病毒的部分已被移除。
virus-part-taken-out = 含病毒的附件（{ $virus }：{ $file }）已被移除。
digest-subject = 隔离区新增 { $count } 封疑似垃圾邮件
digest-head = 发给 { $address } 的疑似垃圾邮件 { $count } 封未投递，将保留七天。
digest-links = 如需其中的邮件，请打开其下方的链接并点击页面上的按钮。
digest-no-links = 如需其中的邮件，请在邮箱管理中放行，或联系管理员。
digest-junk-subject = 垃圾邮件夹新增 { $count } 封
digest-junk-head = { $address } 的垃圾邮件夹新增 { $count } 封邮件，POP3 不会收取它们。如需阅读，请使用网页邮箱或 IMAP 客户端。
digest-more = 另有 { $more } 封。
receipt-subject = 已读
receipt-given =
    { $who } 确认您的邮件“{ $subject }”（日期：{ $sent }）已打开显示，确认时间：{ $time }。
    这并不表示邮件已被读完或理解。
report-failed-subject = 您的邮件未能送达
report-delayed-subject = 您的邮件延迟送达
report-failed = 您的邮件无法送达以下地址，系统不再重试：
report-delayed = 您的邮件尚未送达以下地址。系统将重试至 { $until }，您无需操作：
report-failed-one = { $address }：{ $cause }
report-refused = 收件人拒收
report-refused-says = 收件人拒收，并说明：{ $said }
report-delayed-one = { $address }：{ $cause }
report-sent-subject = 您的邮件已送达
report-sent = 您要求告知以下地址的投递结果：
report-delivered-one = { $address }：已送达
report-relayed-one = { $address }：已交给对方服务器，该服务器不提供后续投递状态
report-unsent-subject = 您的邮件未发出
report-unsent = 您的定时邮件未能发往以下地址，副本已存入草稿箱：
held-why-closed = 您的账号或所属企业已停用
held-why-forbidden = 您的账号已被禁止发信
held-why-author = 您已不能以该发件人的名义发信
held-why-outside = 您只能向企业内部发信
held-why-unknown = 该地址已不存在
held-why-disabled = 该邮箱不接收邮件
held-why-group = 您已不能向该邮件群组发信
held-why-frequency = 发信数量已达上限，两天内未能发出
held-why-lost = 邮件内容已丢失或损坏
held-why-too-many = 收件群组的成员增多，收件人数超过一封邮件的上限
held-full = 等待定时发送的邮件已达上限：{ $letters } 封或 { $megabytes } MB
held-gone = 邮件已经发出
held-back = 邮件已取消发送，副本在草稿箱中
held-unsent = 邮件未能发出，系统已向发件人说明原因，副本在草稿箱中
held-time = 定时发送的时间须在未来 { $days } 天之内：写作 2030-01-31T08:00 并指定时区，或带上时差
held-window = 撤销发送的等待时间须为 { $least } 至 { $most } 秒，或关闭
held-id = 这不是邮件编号，请查看列表
held-none = 没有定时发送的邮件
held-head-goes = 发送时间
held-head-state = 状态
held-head-to = 收件人
held-head-subject = 主题
held-head-id = 编号
held-taken-back = 邮件 { $id } 已取消发送，副本将存入草稿箱
held-goes = 邮件 { $id } 将于 { $time } 发送
held-now = 邮件 { $id } 即将发送
held-undo-on = { $address } 的邮件等待 { $seconds } 秒后发送
held-undo-off = { $address } 的邮件立即发送
own-none = 没有发送过邮件
own-head-read = 已读
own-head-time = 提交时间
state-scheduled = 定时发送
state-sent = 已发出
state-taken-back = 已取消发送
state-unsent = 未能发出
state-processing = 正在处理
state-redelivering = 对方服务器未及时响应，正在重新投递
state-delivered = 已投递到邮箱
state-reached-server = 已投递到对方服务器
state-refused = 被对方拒收或退回
state-failed = 投递失败
state-unknown = 状态不明：一周以来没有任何记录，可以重新发送
received-head-time = 来信时间
received-head-at = 位置
received-head-from = 发件人
received-none = 没有收到邮件
received-quarantined = 已隔离
received-refused = 已拒收
held-why-subject = 您的组织不允许发送此主题的邮件
held-why-suppressed = 您的组织不再向此地址群发邮件
held-why-content = 您的组织的规则不允许发送此邮件的内容，请联系管理员
mailing-row = 第 { $line } 行：{ $problem }
mailing-row-no-address = 缺少邮箱地址，请补全后重新上传
mailing-row-blank = 邮箱地址“{ $address }”中含有空格
mailing-row-address = “{ $address }”不是有效的邮箱地址
mailing-row-merged = 该行含有合并单元格，请取消合并后重新上传
mailing-row-damaged = 单元格含有损坏的文字，或文件中没有公式的计算结果：请用表格软件重新保存
mailing-row-nameless = 单元格多于首行的标题
mailing-row-outside = “{ $address }”在组织之外，此处不能外发邮件
mailing-rows = 表格中有 { $count } 行有误，未发送任何邮件；{ $first }
mailing-table-large = 表格不能超过 { $limit } MB
mailing-table-empty = 表格标题行之下没有数据
mailing-table-sheets = 工作簿中有 { $count } 个工作表含有数据，请只保留一个
mailing-table-many = 表格有 { $count } 位收件人，最多 { $limit } 位
mailing-table-column = 表格须有“邮箱地址”或“地址”列（英文为 email 或 address）
mailing-table-columns = 表格有 { $count } 列，最多 { $limit } 列
mailing-heading-none = 第 { $column } 列没有标题
mailing-heading-special = 标题“{ $name }”不能含有半角特殊字符 ' " < > ( ) . [ ] ? \ ^ {"{"} {"}"} |
mailing-heading-twice = 有两列的标题都是“{ $name }”
mailing-variable = 表格中没有标题为“{ $name }”的列
mailing-open = 变量以 {"{{"} 开头但没有结束，应写作 {"{{"}标题{"}}"}
mailing-long = 填入表格第 { $line } 行的内容后，主题或正文超过 { $limit } KB：请缩短单元格内容或减少变量
mailing-subject = 请填写主题，最多 { $limit } 个字符
mailing-body = 请填写 HTML 或纯文本正文，每种最多 { $limit } KB
mailing-attachments = 最多 { $count } 个附件，合计不超过 { $megabytes } MB，每个附件须有名称和类型，例如 application/pdf
mailing-full = 等待发送或仍保留的群发邮件已达上限：分别为 { $limit } 封和 { $kept } 封
mailing-kept = 保存的模版已达上限：{ $limit } 个
mailing-name = 模版名称须为 1 至 { $limit } 个字符
mailing-not-draft = 该群发邮件已在发送或已结束
mailing-over = 该群发邮件已结束
mailing-no-row = 该群发邮件没有这一行收件人
mailing-id = 这不是群发邮件的编号，请查看列表
mailing-none = 没有群发邮件
mailing-no-template = 没有保存的模版
mailing-gone = 该群发邮件的内容已不再保存
mailing-head-id = 编号
mailing-head-name = 名称
mailing-head-kind = 方式
mailing-head-made = 创建时间
mailing-head-state = 状态
mailing-head-done = 进度
mailing-head-subject = 主题
mailing-head-row = 行
mailing-head-to = 收件人
mailing-head-letter = 邮件
mailing-added = 群发邮件 { $id } 已准备好，共 { $count } 位收件人；尚未发送
mailing-goes = 群发邮件 { $id } 开始发送，共 { $count } 位收件人
mailing-tried = 第 { $row } 行的邮件只发送到 { $address }
mailing-stopped = 群发邮件 { $id } 已停止；已提交的邮件会继续投递
mailing-saved = 已保存为模版 { $id }
mailing-forgotten = 模版 { $id } 已删除
mailing-state-draft = 待确认
mailing-state-going = 发送中
mailing-state-stopping = 正在停止
mailing-state-done = 已完成
mailing-state-stopped = 已停止
mailing-state-failed = 内容已丢失
mailing-kind-table = 发表格
mailing-kind-template = 发图文
mailing-kind-individual = 分别发送
mailing-fate-waiting = 等待发送
mailing-fate-sent = 已提交
mailing-fate-refused = 未发送
mailing-fate-stopped = 已停止
mailing-rules = 每次群发的收件人数上限须为 1 至 { $limit }
mailing-limit = 每次群发最多 { $limit } 位收件人
