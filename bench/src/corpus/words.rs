//! The words of the made-up mail.

/// Common English words, the commonest first.
pub(super) const ENGLISH: &str = "the of and to in is that for it as was with be by on not he his but at are this \
have from or had an they which one you were all her she there would their we him been has when who will no more if \
out so up said what its about than into them can only other time new some could these two may first then do any like \
my now over such our man me even most made after also well did many before must years through much where your way \
down should because long each just state those people too mr how little good world make very year still see own work \
men day get here old life both between being under three never know same last another while us off might great go \
come since against right came take used himself few house use place during without again home around small however \
found part number every set water number letter post office street order invoice contract delivery meeting agenda \
project budget quarter market customer supplier price offer schedule holiday travel report result figure table \
answer question request decision manager team member office machine network printer window door garden winter \
summer autumn spring morning evening station harbour river mountain bridge copper silver paper parcel stamp carrier \
sorting counter wagon ledger record address account signature attachment reply regards sincerely yesterday tomorrow \
monday tuesday wednesday thursday friday available possible necessary important urgent regular annual monthly weekly";

/// Common Chinese words.
pub(super) const CHINESE: &str = "我们 公司 会议 项目 合同 报告 客户 产品 市场 计划 时间 今天 明天 昨天 上午 下午 \
附件 请查收 谢谢 您好 同事 部门 经理 通知 安排 确认 价格 数量 订单 发票 付款 银行 账户 邮件 地址 电话 联系 回复 \
问题 解决 方案 系统 服务 支持 技术 开发 测试 设计 需求 质量 标准 管理 流程 培训 招聘 人员 假期 出差 北京 上海 广州 \
深圳 杭州 成都 办公室 会议室 领导 决定 讨论 意见 建议 情况 工作 学习 研究 数据 分析 结果 进度 完成 开始 结束 需要 \
可以 已经 但是 因为 所以 如果 关于 以及 以下 详细 内容 文件 材料 准备 提交 审批 预算 成本 费用 季度 年度 目标 任务 \
负责 参加 提前 及时 尽快 有关 相关 重要 紧急 信息 网络 设备 采购 供应商 物流 仓库 生产 销售 合作 发展 未来 城市";

/// Names of people.
pub(super) const PEOPLE: &[&str] = &[
    "Ann Baker",
    "Robert Carter",
    "Mary Dawson",
    "John Ellis",
    "Emma Fischer",
    "Paul Grant",
    "Laura Hughes",
    "Peter Irving",
    "Susan Jones",
    "Mark Keller",
    "Nina Lopez",
    "Oscar Müller",
    "Alice Novak",
    "David Owen",
    "王伟",
    "李娜",
    "张敏",
    "刘洋",
    "陈静",
    "杨帆",
    "赵磊",
    "黄丽",
    "周杰",
    "吴强",
];

/// Syllables of the rare words, so that the vocabulary has a long tail as real mail has.
pub(super) const SYLLABLES: &[&str] = &[
    "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va", "we",
    "xi", "yo", "zan", "bren", "clim", "dros", "fran", "gril", "plen", "stor", "trim", "vest", "wald",
];
