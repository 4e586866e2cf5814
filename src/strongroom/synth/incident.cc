#include "strongroom/synth/incident.h"

#include <iterator>
#include <string_view>

#include "strongroom/synth/divisions.h"

namespace strongroom::synth {
namespace {

constexpr uint64_t kIncidentStream = 4;
constexpr unsigned kReporterAgeMin = 14;

struct Category {
  std::string_view name;
  unsigned weight;
  std::string_view stories[3];
  std::string_view endings[3];
};

constexpr Category kCategories[] = {
    {"盗窃",
     18,
     {"其离开约二十分钟后返回，发现物品已不在原处，周围无人注意到可疑人员，现场未见明显撬动痕迹。",
      "当时现场人员较多，其在排队结账时感觉有人碰撞，随后发现随身物品不见，怀疑被一名身穿深色上衣的"
      "男子盗走。",
      "其将物品停放锁好后上楼，次日清晨下楼时发现锁具被剪断，附近监控摄像头正对该处。"},
     {"案件已受理，正在进一步侦查中", "嫌疑人已被传唤至派出所接受调查，物品部分追回",
      "已移交刑侦支队继续办理"}},
    {"电信诈骗",
     20,
     {"对方自称某购物平台客服，以商品质量问题退款为由诱导其下载会议软件并共享屏幕，随后银行卡内资金"
      "被分三次转出。",
      "其在网上结识一名自称投资顾问的男子，按对方指导在某平台充值后可见盈利但无法提现，方知被骗。",
      "对方冒充其孩子的班主任在家长群内收取资料费，其未经核实即扫码转账，后经老师提醒发现异常。"},
     {"已启动紧急止付并冻结收款账户，案件正在侦办", "已受理并将涉案账号上报反诈中心",
      "已移交刑侦支队继续办理"}},
    {"交通纠纷",
     16,
     {"双方车辆在路口转弯时发生刮擦，互相认为对方未让行，下车后发生争吵并造成短时拥堵，无人员受伤"
      "。",
      "其骑行电动自行车正常通过时被一辆右转的小型轿车碰倒，手肘擦伤，对方司机留在现场等待处理。",
      "其停放的车辆被他人倒车时撞到前保险杠，对方留下电话后离开，但拨打多次均无人接听。"},
     {"已通知交警部门到场认定责任", "双方自愿达成调解协议，当场履行完毕",
      "当事人表示走保险理赔程序，自行协商解决"}},
    {"邻里纠纷",
     10,
     {"双方因楼道内堆放杂物和停车位使用问题多次发生口角，当日再次争执并发生推搡，未造成明显伤情。",
      "楼上住户卫生间漏水致其天花板受损，双方就维修费用分担意见不一，在物业处争吵。",
      "对门住户饲养的犬只夜间吠叫，其上门交涉时双方言语过激，围观居民较多。"},
     {"双方在居委会主持下达成调解协议，不再追究", "民警对双方进行批评教育，双方表示接受",
      "已告知当事人可向人民法院提起诉讼"}},
    {"家庭纠纷",
     9,
     {"其与家人因老人赡养和房屋分配问题发生争执，对方摔坏屋内部分物品后离家。",
      "夫妻双方因家庭琐事争吵，一方情绪激动将另一方反锁门外，屋内有年幼子女一名。",
      "其与子女因学习和使用电子产品问题发生争吵，子女赌气离家未归，电话处于关机状态。"},
     {"经劝解双方情绪稳定，表示自行协商解决", "已出具家庭暴力告诫书并转介妇联跟进",
      "离家人员已在亲属处找到并由家人接回"}},
    {"殴打他人",
     6,
     {"双方就餐时因言语不合发生冲突，对方两人用拳头击打其头面部后逃离，现场有多名目击者。",
      "其在排队时指责他人插队，被对方推倒在地并踢打数下，额头有约两厘米裂伤。",
      "双方为债务问题约谈未果，对方持木棍击打其手臂，造成红肿，已自行前往医院检查。"},
     {"已开具伤情鉴定委托书，案件按行政案件受理", "嫌疑人已被传唤至派出所接受调查",
      "对违法行为人处以行政拘留并处罚款"}},
    {"遗失物品",
     10,
     {"其乘坐出租车下车后发现物品遗落在后排座位，记得车身颜色但未索取发票，不清楚车牌号码。",
      "其在就诊和缴费过程中多次取放随身物品，离开大厅后发现不见，返回寻找未果。",
      "其带孩子游玩时将背包放在长椅上，起身离开忘记携带，约半小时后返回时已不在原处。"},
     {"物品已找回并发还失主", "已登记备查并告知其办理挂失补办手续",
      "通过公共视频发现线索，已联系拾得人归还"}},
    {"噪音扰民",
     7,
     {"附近商铺长时间使用高音喇叭招揽顾客，音量较大，影响周边居民休息，此前曾多次沟通未果。",
      "施工单位夜间十一点后仍在进行混凝土浇筑作业，机械声明显，多名住户同时来电反映。",
      "楼下人员深夜聚集唱歌饮酒，劝说后短暂停止又继续，家中有备考学生无法休息。"},
     {"已责令当事人立即停止并予以警告", "已通报城市管理部门联合处置",
      "对方当场关闭设备并作出书面保证"}},
    {"劳资纠纷",
     4,
     {"其与多名工友在该处务工数月，包工头以工程款未到账为由拖欠工资，双方在现场发生争执。",
      "公司单方面解除劳动关系且未支付当月工资和补偿，其到办公室讨要说法时被保安阻拦。",
      "其作为临时雇员工作期间受伤，用工方拒绝承担医疗费用，双方多次协商没有结果。"},
     {"已引导双方到劳动监察部门处理", "用工方承诺三日内结清，双方签字确认",
      "已告知其申请劳动仲裁的途径"}},
    {"网络购物纠纷",
     8,
     {"其通过快递单上的电话联系寄件人要求退货，对方拒绝承认并恶语相向，双方在电话中发生争吵。",
      "其在二手平台购买的商品与描述严重不符，卖家收款后将其拉黑，平台客服处理缓慢。",
      "快递显示已签收但其本人并未收到，与驿站工作人员就责任问题争执不下。"},
     {"已告知其向市场监管部门投诉", "驿站同意先行赔付，双方达成一致", "经联系平台已为其办理退款"}},
    {"走失人员",
     3,
     {"家中老人午后独自外出散步未归，患有轻度认知障碍，出门时身穿灰色外套、黑色布鞋，随身未带手机"
      "。",
      "六岁儿童在人流中与家长走散，身穿黄色上衣、背蓝色书包，能说出自己和父母的姓名。",
      "其亲属因情绪低落留下字条后离家，电话无人接听，最后一次露面是在附近的公交站台。"},
     {"已通过视频巡查在邻近街道找到并交由家属", "已发布协查信息并组织警力沿线寻找",
      "经群众提供线索已安全找到"}},
    {"寻衅滋事",
     3,
     {"数名男子酒后在此处大声喧哗并无故踢踹停放车辆，其上前劝阻时遭到辱骂和威胁。",
      "一名男子手持酒瓶拦截过往行人索要财物，在群众围观下仍不肯离去，情绪十分激动。",
      "对方多次到其经营的店铺内掀翻桌椅、驱赶顾客，并在门口堆放杂物影响正常营业。"},
     {"违法行为人已被带回派出所审查", "案件已受理，正在调取监控进一步取证",
      "已作出行政拘留七日的处罚决定"}},
};

constexpr std::string_view kPlaceRoads[] = {
    "人民路",   "解放路", "建设路",   "中山路", "和平路",   "新华路",
    "长江路",   "文化路", "友谊路",   "花园路", "滨江大道", "环城东路",
    "环城西路", "站前路", "工业二路", "湖滨路", "青年路",   "公园路"};
constexpr std::string_view kSpots[] = {"地铁站出口", "小区门口",   "超市收银台",   "网吧内",
                                       "建筑工地",   "菜市场",     "公交站台",     "地下停车场",
                                       "出租屋内",   "商场三楼",   "医院门诊大厅", "餐馆包间",
                                       "快递站点",   "银行营业厅", "学校东门"};
constexpr std::string_view kItems[] = {
    "手机一部",         "电动自行车一辆", "内有现金及银行卡的钱包一个",
    "笔记本电脑一台",   "金项链一条",     "快递包裹三件",
    "身份证及驾驶证",   "行李箱一只",     "自行车一辆",
    "现金人民币若干元", "平板电脑一台",   "黑色双肩背包一个"};
constexpr std::string_view kActions[] = {
    "民警到达现场后对双方进行了询问并制作笔录", "值班民警调取了周边监控录像进行查看",
    "民警当场了解情况并对在场人员逐一核实身份", "民警已联系辖区社区警务室协助查找有关人员",
    "民警到场后固定了现场证据并拍照留存",       "接警后指挥中心指派就近巡逻车到场处置"};
constexpr std::string_view kTails[] = {"现场秩序已恢复正常。", "民警已提醒当事人注意防范。",
                                       "后续情况待反馈。", "相关材料已归档备查。",
                                       "已向值班领导汇报。"};

constexpr unsigned kWeights = [] {
  unsigned sum = 0;
  for (const Category& category : kCategories) sum += category.weight;
  return sum;
}();

const Category& pick_category(Rng& rng) {
  uint64_t at = rng.below(kWeights);
  const Category* category = kCategories;
  while (at >= category->weight) at -= (category++)->weight;
  return *category;
}

unsigned birth_year(const Person& person) {
  unsigned year = 0;
  for (size_t at = 0; at < 4; ++at) year = year * 10 + static_cast<unsigned>(person.dob[at] - '0');
  return year;
}

void write_summary(Rng& rng, const Category& category, Date date, Incident& out) {
  std::string& text = out.summary;
  text.clear();
  append_number(text, date.year);
  text += "年";
  append_number(text, date.month);
  text += "月";
  append_number(text, date.day);
  text += "日";
  append_number(text, rng.below(24));
  text += "时";
  append_number(text, rng.below(60), 2);
  text += "分，报警人";
  text += out.reporter.name;
  text += "（联系电话";
  text += out.reporter.phone;
  text += "）来电称，其在";
  text += out.place;
  text += "遇到";
  text += category.name;
  text += "一事，涉及";
  text += rng.pick(kItems);
  text += "，价值约";
  append_number(text, 50 + rng.below(20000));
  text += "元。";
  text += rng.pick(category.stories);
  text += rng.pick(kActions);
  text += "，";
  text += rng.pick(category.endings);
  text += "。";
  text += rng.pick(kTails);
}

}  // namespace

void make_incident(const People& people, uint64_t seed, uint64_t i, Incident& out) {
  Rng rng(seed, kIncidentStream, i);
  const int64_t first_day = days_from_date({2016, 1, 1});
  const int64_t last_day = days_from_date({2025, 12, 31});
  const Date date = date_from_days(
      first_day + static_cast<int64_t>(rng.below(static_cast<uint64_t>(last_day - first_day + 1))));
  // Small children do not call the police; with few people to draw from one may have to.
  for (int tries = 0; tries < 16; ++tries) {
    people.make(rng.below(i + 1), out.reporter);
    if (birth_year(out.reporter) + kReporterAgeMin <= date.year) break;
  }
  const Division& division = divisions()[rng.below(divisions().size())];
  const Category& category = pick_category(rng);

  out.report_no.assign("JQ");
  out.report_no += division.code;
  append_number(out.report_no, date.year, 4);
  append_number(out.report_no, date.month, 2);
  append_number(out.report_no, date.day, 2);
  append_number(out.report_no, i + 1, 8);
  out.date.clear();
  append_date(out.date, date);
  out.place.assign(division.name);
  out.place += rng.pick(kPlaceRoads);
  append_number(out.place, 1 + rng.below(1999));
  out.place += "号";
  out.place += rng.pick(kSpots);
  out.category.assign(category.name);
  write_summary(rng, category, date, out);
}

}  // namespace strongroom::synth
