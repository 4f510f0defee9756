"""The one model for what is wrong: used by `station check`, by faults, by replies and by every screen.

A problem is a row of `CATALOGUE` (its words) with a place and a time. Words are plain, in Chinese and English, and the
remedy says what to do next. Text may name a setting, a device or a file; never a person, a PIN or a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad: an error stops something that people need, a warning will if nobody acts."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Words:
    """One text in the two languages of the station."""

    zh: str
    en: str

    def fill(self, detail: str | Words) -> Words:
        """Put the particulars where the text says `{detail}`; words go into each language's own text."""
        words = detail if isinstance(detail, Words) else Words(detail, detail)
        zh, en = self.zh.replace("{detail}", words.zh), self.en.replace("{detail}", words.en)
        return Words(zh.rstrip(), en.rstrip())  # particulars at the end may be lacking


@dataclass(frozen=True, slots=True)
class Kind:
    """What a code means and what to do about it."""

    severity: Severity
    text: Words
    remedy: Words


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong. `where`: a setting's path or a device's name; `since`: station time, if timed."""

    code: str
    where: str
    severity: Severity
    text: Words
    remedy: Words
    since: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON values, as replies and messages carry it."""
        return {
            "code": self.code,
            "where": self.where,
            "severity": self.severity.value,
            "text": {"zh": self.text.zh, "en": self.text.en},
            "remedy": {"zh": self.remedy.zh, "en": self.remedy.en},
            "since": self.since,
        }


def _error(zh: str, en: str, remedy_zh: str, remedy_en: str) -> Kind:
    return Kind(Severity.ERROR, Words(zh, en), Words(remedy_zh, remedy_en))


def _warning(zh: str, en: str, remedy_zh: str, remedy_en: str) -> Kind:
    return Kind(Severity.WARNING, Words(zh, en), Words(remedy_zh, remedy_en))


CATALOGUE: Mapping[str, Kind] = {
    # --- settings
    "settings.unreadable": _error(
        "无法读取配置文件:{detail}",
        "The settings file cannot be read: {detail}",
        "检查文件路径、权限和 TOML 语法;其他文件用 --config 或 STATION_CONFIG 指定。",
        "Check the path, its permissions and the TOML syntax; --config or STATION_CONFIG names another file.",
    ),
    "settings.unknown_key": _error(
        "没有这个配置项。{detail}",
        "There is no such setting. {detail}",
        "改正拼写,或删除这一行;全部配置项见 config/station.toml。",
        "Correct the spelling or remove the line; config/station.toml lists every setting.",
    ),
    "settings.invalid_value": _error(
        "配置值不正确:{detail}",
        "The value is not valid: {detail}",
        "按 config/station.toml 中的说明修改。",
        "Change it as config/station.toml explains.",
    ),
    "settings.missing": _error(
        "缺少必填配置项。",
        "This setting is required and missing.",
        "在配置文件中补上;说明见 config/station.toml。",
        "Add it to the settings file; config/station.toml explains it.",
    ),
    "settings.conflict": _error(
        "配置项互相矛盾:{detail}",
        "Settings contradict each other: {detail}",
        "按 config/station.toml 中的说明修改其中一项。",
        "Change one of them as config/station.toml explains.",
    ),
    "settings.missing_file": _warning(
        "配置中写的文件不存在或无法读取:{detail}",
        "A file that the settings name is missing or unreadable: {detail}",
        "放好文件并允许 station-agent 账户读取,或改正路径。",
        "Put the file there, readable for the account station-agent, or correct the path.",
    ),
    "settings.missing_model": _error(
        "没有安装识别所需的模型文件,人脸不能开门:{detail}",
        "A model file that faces need is not installed, so no face opens the door: {detail}",
        "执行 station models list 查看来源,再用 station models install 安装;或改正该配置项。",
        "`station models list` says where to get it, `station models install` puts it there; or change the setting.",
    ),
    "settings.no_account": _warning(
        "本机没有这个账户:{detail}",
        "There is no such account on this machine: {detail}",
        "改正 control.roles 中的拼写,或建立这个账户(sudo adduser 账户名)。",
        "Correct the name in control.roles, or make the account (`sudo adduser ACCOUNT`).",
    ),
    # --- devices
    "device.failed": _error(
        "设备故障:{detail}",
        "The device does not work: {detail}",
        "检查接线和供电;恢复后自动消除。",
        "Check its wiring and power; this clears by itself when it works again.",
    ),
    "lock.failed": _error(
        "门锁继电器无法控制:{detail}",
        "The lock's relay cannot be driven: {detail}",
        "请立即到站检查;人员可用按钮出门。",
        "Somebody should come now; people can leave with the exit button.",
    ),
    # --- faults and alarms as people deal with them
    "reported.broken": _error(
        "有人报告:损坏。",
        "Somebody reports that it is broken.",
        "请到站查看并维修,然后执行 station faults update 更新进度。",
        "Look at it and have it repaired; `station faults update` says how far that is.",
    ),
    "reported.dirty": _warning(
        "有人报告:需要清洁。",
        "Somebody reports that it needs cleaning.",
        "请安排清洁,然后执行 station faults update 更新进度。",
        "Have it cleaned; `station faults update` says how far that is.",
    ),
    "reported.missing": _warning(
        "有人报告:缺失。",
        "Somebody reports that it is missing.",
        "请补齐,然后执行 station faults update 更新进度。",
        "Put it back or make it up; `station faults update` says how far that is.",
    ),
    "reported.other": _warning(
        "有人报告:有其他问题。",
        "Somebody reports that something else is wrong with it.",
        "请到站查看,然后执行 station faults update 更新进度。",
        "Look at it; `station faults update` says how far that is.",
    ),
    "fault.unknown": _error(
        "没有这个故障:{detail}",
        "There is no such fault. {detail}",
        "station faults list 列出全部故障及其编号。",
        "`station faults list` shows every fault with what it is called.",
    ),
    "fault.still_there": _error(
        "传感器显示故障仍然存在,不能标为已核查。",
        "The sensor still shows the fault, so it cannot be checked off.",
        "先排除故障;传感器恢复正常后会自动关闭。",
        "Put it right; it closes by itself once the sensor shows that.",
    ),
    "fault.not_put_right": _error(
        "故障还没有标为已修好,不能标为已核查。",
        "Nobody has said that it is put right, so it cannot be checked off.",
        "先执行 station faults update 故障 put_right。",
        "First `station faults update FAULT put_right`.",
    ),
    "fault.too_many": _error(
        "未处理的故障已达上限:{detail}",
        "There are as many open faults as can be kept: {detail}",
        "先处理并核查已有的故障。",
        "Deal with those there are and check them off.",
    ),
    "supply.empty": _error(
        "已用完({detail})。",
        "There is none left ({detail}).",
        "请补充,然后执行 station supplies check 记录数量。",
        "Make it up, then `station supplies check` with how many there are.",
    ),
    "supply.low": _warning(
        "数量不足({detail})。",
        "There are too few ({detail}).",
        "请补充,然后执行 station supplies check 记录数量。",
        "Make it up, then `station supplies check` with how many there are.",
    ),
    "supply.expired": _error(
        "已过期({detail})。",
        "It is out of date ({detail}).",
        "请立即更换,然后执行 station supplies check 记录新的有效期。",
        "Renew it now, then `station supplies check` with the new date.",
    ),
    "supply.expiring": _warning(
        "即将过期({detail})。",
        "It will soon be out of date ({detail}).",
        "请准备更换,更换后执行 station supplies check 记录新的有效期。",
        "Order a new one; once it is there, `station supplies check` with the new date.",
    ),
    "supply.check_due": _warning(
        "应检查数量和有效期。",
        "It is time to look at it: how many there are, and until when they are good.",
        "巡检时执行 station supplies check。",
        "`station supplies check` on the next round.",
    ),
    "supply.check_overdue": _error(
        "已超过检查期限,长时间无人检查。",
        "Nobody has looked at it for two rounds.",
        "请尽快巡检并执行 station supplies check。",
        "Go and look at it, then `station supplies check`.",
    ),
    "supply.not_returned": _warning(
        "借出超时未还:{detail} 件。",
        "Lent out for too long: {detail}.",
        "station supplies list 显示借用情况;归还后执行 station supplies return。",
        "`station supplies list` shows what is lent; when it is back, `station supplies return`.",
    ),
    "supply.unknown": _error(
        "配置文件中没有这种物资。",
        "The settings have no such supply.",
        "station supplies list 列出全部物资;新物资加在配置文件的 [supplies.名称] 中。",
        "`station supplies list` shows all; a new one gets a table [supplies.NAME] in the settings.",
    ),
    "supply.not_enough": _error(
        "没有这么多,站内数量:{detail}",
        "There are not so many; in the station: {detail}",
        "清点后执行 station supplies check 记录数量。",
        "Count them, then `station supplies check`.",
    ),
    "supply.not_lent": _error(
        "没有借出这么多。",
        "Not so many are lent out.",
        "station supplies list 显示借用情况;数量不对时执行 station supplies check。",
        "`station supplies list` shows what is lent; if the number is wrong, `station supplies check`.",
    ),
    "supply.too_many_loans": _error(
        "借出数量已达上限。",
        "As many are lent out as can be kept.",
        "先登记归还。",
        "Note first what has come back.",
    ),
    "supply.too_many": _error(
        "数量过大。",
        "That is more than can be kept.",
        "清点后执行 station supplies check 记录数量。",
        "Count them, then `station supplies check`.",
    ),
    "appliance.unknown": _error(
        "配置文件中没有这种电器。",
        "The settings have no such appliance.",
        "station status 列出全部电器。",
        "`station status` shows them all.",
    ),
    "appliance.no_switch": _error(
        "配置不允许开关这个电器。",
        "The settings do not let this appliance be switched.",
        "只有接在可开关的 MQTT 插座上、且配置了 can_switch = true 的电器才能远程开关;见 docs/sensors.md。",
        "Only what hangs on a plug that can be switched, with can_switch = true, can be; see docs/sensors.md.",
    ),
    "appliance.never_switched": _error(
        "这类电器不允许远程开关:{detail}",
        "This kind of appliance is never switched from afar: {detail}",
        "冰箱里的食物、AED 和网络都依赖它;必须关断时请到现场操作。",
        "Food, somebody's life or the network hangs on it: if it must be off, somebody goes there and sees to it.",
    ),
    "alarm.unknown": _error(
        "没有这个报警,或已确认。",
        "There is no such alarm, or it has been acknowledged.",
        "station alarms list 列出全部报警。",
        "`station alarms list` shows them.",
    ),
    "sensor.stale": _warning(
        "传感器没有新数据,状态未知。",
        "The sensor sends nothing new; its state is unknown.",
        "检查传感器的接线和供电。",
        "Check the sensor's wiring and power.",
    ),
    "sensor.stuck": _warning(
        "传感器卡住,读数与其他传感器矛盾,已不再采用。",
        "The sensor is stuck: it contradicts all others and is left out.",
        "检查它的朝向和遮挡,断电重启;它重新变化后自动恢复采用。",
        "Look at its aim and what covers it, and take its power away for a moment; it counts again once it changes.",
    ),
    # --- appliances and people
    "appliance.no_power": _error(
        "电器没有用电,可能被拔掉或空开跳闸:{detail}",
        "It draws nothing; it is unplugged or its circuit has tripped: {detail}",
        "检查插头和空气开关;冰箱里的食物请一并检查。",
        "Check its plug and its circuit breaker; of a fridge check the food as well.",
    ),
    "appliance.never_starts": _error(
        "电器通电但长时间不工作:{detail}",
        "It has power but has not started for long: {detail}",
        "检查它的开关和温控;不热或不冷时请报修。",
        "Check its switch and thermostat; have it repaired if it stays cold, or warm.",
    ),
    "appliance.never_stops": _error(
        "电器运行过久不停:{detail}",
        "It runs for far too long: {detail}",
        "请立即到站查看,关掉它或拔掉插头;恢复正常前不要使用。",
        "Look at it now, switch it off or unplug it, and do not use it until it is repaired.",
    ),
    "appliance.short_cycles": _warning(
        "压缩机频繁启停:{detail}",
        "The compressor starts too often: {detail}",
        "清理散热器并检查电压;持续出现时请报修,压缩机会损坏。",
        "Clean its condenser and check the voltage; have it repaired if it goes on, or the compressor will break.",
    ),
    "appliance.weak": _error(
        "电器功率远低于平时,可能加热元件已坏:{detail}",
        "It draws far less than it used to; its heating part is probably dead: {detail}",
        "试用一次;不热时请报修。换过电器的,执行 station appliances replaced 名称。",
        "Try it; have it repaired if it does not heat. If it was replaced: `station appliances replaced NAME`.",
    ),
    "fridge.warm": _error(
        "冰箱温度过高太久:{detail}",
        "The fridge has been too warm for too long: {detail}",
        "丢弃易腐食物,检查门是否关好、是否结冰,必要时报修。",
        "Throw away what spoils; check that its door closes and whether it is iced up; have it repaired if need be.",
    ),
    "water.empty": _error(
        "饮水机缺水。",
        "The water is out.",
        "请更换水桶或检查供水;水位恢复后自动消除。",
        "Change the bottle or check the supply; this clears by itself when there is water.",
    ),
    "contact.waste_full": _warning(
        "废水箱已满。", "The waste tank is full.", "请倒空;水位下降后自动消除。", "Empty it; this clears by itself."
    ),
    "contact.aed_opened": _error(
        "AED 柜已打开:可能有人需要急救。",
        "The AED's cabinet is open: somebody may need help.",
        "立即联系现场或到站查看,必要时拨打 120;AED 放回、柜门关好后自动消除。",
        "Call the station or go there now, and an ambulance if need be; this clears once the cabinet is shut.",
    ),
    "contact.first_aid_opened": _warning(
        "急救箱已打开。",
        "The first-aid box is open.",
        "询问是否有人受伤,用后清点补齐;关好后自动消除。",
        "Ask whether somebody is hurt, then count and refill it; this clears once it is shut.",
    ),
    "contact.leak": _error(
        "检测到漏水。",
        "Water is where it should not be.",
        "请关闭进水阀并到站查看;积水漫到插座前切断电源。",
        "Shut the water off and go there; cut the power before water reaches a socket.",
    ),
    "contact.smoke": _error(
        "烟感报警。",
        "The smoke detector says that there is smoke.",
        "确认站内人员安全并撤离,如有火情拨打 119。",
        "See that everybody is safe and out; if there is fire, call the fire brigade.",
    ),
    "contact.tampered": _error(
        "设备外壳被打开。",
        "A device's housing was opened.",
        "请到站查看;合上后自动消除。",
        "Go and look; this clears once it is shut.",
    ),
    "contact.battery_low": _warning(
        "传感器电池电量低。",
        "A sensor's battery is low.",
        "请更换电池;换好后自动消除。",
        "Change its battery; this clears by itself.",
    ),
    "mains.lost": _error(
        "市电中断。",
        "The mains is lost.",
        "检查总空开和供电;恢复后自动消除。冰箱停电超过 4 小时请检查食物。",
        "Check the main breaker and the supply; this clears by itself. After 4 hours check the food in the fridge.",
    ),
    "appliance.not_off": _warning(
        "插座已断电,电器仍在耗电:{detail}",
        "Its plug says that it is off, and it still draws power: {detail}",
        "到站检查:插座触点是否粘连,电器是否接在这个插座上;不再耗电后自动消除。",
        "Look whether the plug's contacts have welded, and whether this hangs on that plug; this clears by itself "
        "once it draws nothing.",
    ),
    "appliance.not_switched": _warning(
        "电器没有按要求开关:{detail}",
        "The appliance was not switched as ordered: {detail}",
        "检查插座的供电和网络,再试一次;开关成功后自动消除。",
        "Check its plug's power and network, then try again; this clears by itself once an order is carried out.",
    ),
    "camera.failed": _error(
        "摄像头没有画面:{detail}",
        "The camera gives no fresh picture: {detail}",
        "检查摄像头的连接;人脸开门已停用,其他方式可用。",
        "Check the camera's cable; face entry is off, other ways work.",
    ),
    "vision.stopped": _error(
        "人脸识别已停止:{detail}",
        "Face recognition has stopped: {detail}",
        "系统会自动重试;反复出现时请联系安装人员。",
        "It is tried again by itself; if it keeps coming back, call the installer.",
    ),
    "gallery.too_large": _error(
        "登记人数太多,仅凭人脸不能可靠地认人:{detail}",
        "Too many are enrolled to tell them apart by the face alone: {detail}",
        "让成员先出示编号、卡或通行码,再由人脸核对;站长可执行 station members confirm 编号。",
        "Let members give a number, a card or a pass first and confirm it with the face: `station members confirm ID`.",
    ),
    "template.refused": _warning(
        "这些成员的人脸数据不能用于现在的识别引擎:{detail}",
        "The stored faces of these members do not fit the engine in use: {detail}",
        "请他们重新登记(station members enrol --again)。",
        "Ask them to enrol again (`station members enrol --again`).",
    ),
    # --- the templates' keys
    "vault.key_lost": _error(
        "人脸模板的密钥缺失或不对:{detail}",
        "The key of the stored faces is missing or wrong: {detail}",
        "把原来的密钥放回密钥文件(保留已有的行)并重启;这些成员暂不能刷脸,其他方式照常。"
        "密钥确实丢失时,执行 station vault rotate 生成新密钥并请他们重新登记。",
        "Put the former key back into the key file, beside what is there, and restart; until then these members' faces "
        "do not open, other ways do. If it is lost for good: `station vault rotate` makes a new one, then enrol again.",
    ),
    "vault.key_refused": _error(
        "人脸模板的密钥文件不能使用:{detail}",
        "The key file of the stored faces cannot be used: {detail}",
        "让该文件只有 station-agent 账户可读(chmod 600、chown),或改正 vault.key_file,然后重启。",
        "Let only the account station-agent read it (chmod 600, chown) or correct vault.key_file, then restart.",
    ),
    "vault.template_refused": _error(
        "存储的人脸数据被改动过,已拒绝使用:{detail}",
        "A stored face was altered or moved, and is refused: {detail}",
        "查明谁动过数据库,检查存储卡,然后请该成员重新登记。",
        "Find out who changed the database, check the card, then enrol this member again.",
    ),
    "vault.remains": _warning(
        "未加密的旧人脸数据可能仍留在存储卡的空闲区域:{detail}",
        "Unencrypted faces of before may still be in free space: {detail}",
        "腾出空间后重启,程序会再次清除。",
        "Free some space and restart: it is cleaned again.",
    ),
    # --- cards and PINs
    "credentials.key_lost": _error(
        "卡号和密码的密钥缺失或不对:{detail}",
        "The key of the cards and PINs is missing or wrong: {detail}",
        "把原来的密钥文件放回原处并重启;在此之前刷卡和密码不能开门,其他方式照常。"
        "确实丢失时,用 station members uncard 和 unpin 收回全部卡和密码,重启后重新发放。",
        "Put the former key file back and restart; until then cards and PINs do not open, other ways do. If it is lost "
        "for good, take all of them away (`station members uncard` and `unpin`), restart, and give them out anew.",
    ),
    "credentials.key_refused": _error(
        "卡号和密码的密钥文件不能使用:{detail}",
        "The key file of the cards and PINs cannot be used: {detail}",
        "让该文件只有 station-agent 账户可读(chmod 600、chown),或改正 codes.key_file,然后重启。",
        "Let only the account station-agent read it (chmod 600, chown) or correct codes.key_file, then restart.",
    ),
    "credentials.unreadable": _error(
        "无法读取卡号和密码:{detail}",
        "Cards and PINs cannot be read: {detail}",
        "检查存储卡;系统会自动重试,其他进门方式照常。",
        "Check the card the data is on; it is tried again by itself, and other ways in work.",
    ),
    "card.taken": _error(
        "这张卡已经发给别人:{detail}",
        "This card is somebody else's already: {detail}",
        "先收回(station members uncard),或换一张卡。",
        "Take it away from them first (`station members uncard`), or use another card.",
    ),
    "card.too_many": _error(
        "这个成员的卡已经够多:{detail}",
        "This member has cards enough: {detail}",
        "先用 station members uncard 收回旧卡。",
        "Take the old ones away first (`station members uncard`).",
    ),
    "number.taken": _error(
        "这个编号已经有人用。",
        "This number is somebody else's already.",
        "换一个编号,或不写编号,由系统分配。",
        "Choose another one, or none: then a free one is drawn.",
    ),
    "pin.length": _error(
        "密码应为 {detail} 位数字。",
        "A PIN has {detail} digits.",
        "换一个密码。",
        "Choose another PIN.",
    ),
    "pin.weak": _error(
        "这个密码太容易猜。",
        "This PIN is among the first that anybody tries.",
        "不要用相同或连续的数字。",
        "Do not use the same digit throughout, nor digits in a row.",
    ),
    "pin.same": _error(
        "胁迫密码不能与平时的密码相同。",
        "The PIN for duress must not be the usual one.",
        "换一个胁迫密码。",
        "Choose another one for duress.",
    ),
    # --- storage and broker
    "storage.failed": _error(
        "无法写入记录:{detail}",
        "The log cannot be written: {detail}",
        "检查存储卡是否已满或损坏;门仍可使用。",
        "Check whether the card is full or damaged; the door goes on working.",
    ),
    "storage.low": _warning(
        "存储空间快用完了,还剩 {detail} MB。",
        "The disk of the log is nearly full: {detail} MB are left.",
        "清理存储卡上与本站无关的文件,或换更大的卡。空间用完时先停止保存传感器读数,记录和门照常。",
        "Delete what does not belong to the station, or take a larger card. When it is full, sensor readings are "
        "dropped first; the log and the door go on.",
    ),
    "storage.lost": _error(
        "有记录未能保存:{detail}",
        "Entries of the log were lost: {detail}",
        "更换存储卡,并向上级说明缺少的记录。",
        "Replace the card and report the gap.",
    ),
    "storage.mended": _warning(
        "启动时修复了存储:{detail}",
        "Storage had to be mended at the start: {detail}",
        "如果没有恢复过备份,请检查存储卡。",
        "If no backup was restored, check the card.",
    ),
    "log.unknown_epoch": _error(
        "记录没有这个纪元:{detail}",
        "The log has no such epoch: {detail}",
        "查看 station status 中的纪元;中心服务器的记录可能属于另一个站点。",
        "See the epoch in `station status`; what the server has may be another station's.",
    ),
    "log.beyond_cursor": _error(
        "确认的记录尚未送达:{detail}",
        "What is confirmed has not been sent yet: {detail}",
        "中心服务器只能确认已收到的记录。",
        "The server may confirm only what it has received.",
    ),
    "log.no_such_entry": _error(
        "本站没有这条记录:{detail}",
        "The log has no such entry: {detail}",
        "确认较新的一条;恢复备份前的记录可能已不在本站。",
        "Confirm a newer one; what was written after a backup that was restored is not here any more.",
    ),
    "log.other_hash": _error(
        "中心服务器的记录与本站不同:{detail}",
        "The server has another entry there: {detail}",
        "在两端运行校验(station log verify),查明哪一端被改动。",
        "Check both ends (`station log verify`) and find out which of them was altered.",
    ),
    "log.not_taken": _error(
        "有一条记录未能补发:{detail}",
        "An entry of the log could not be sent again: {detail}",
        "检查消息服务器的权限和配额,再运行 station log verify。",
        "Check the broker's access rules and quota, and run `station log verify`.",
    ),
    # --- notifications
    "notice.over": _error(
        "通知的结束时间已过:{detail}",
        "The notice would be over already: {detail}",
        "换一个将来的时间,或不写结束时间。",
        "Give a time that is still to come, or none.",
    ),
    "notify.failed": _error(
        "通知无法送达这位接收人,已持续一段时间。",
        "This recipient has not been reached for a while.",
        "检查网络和 URL 文件,然后执行 station notify test 接收人;原因见 station notify list。",
        "Check the network and the file of URLs, then `station notify test RECIPIENT`; `station notify list` says why.",
    ),
    "notify.urls_refused": _error(
        "通知的 URL 文件不能使用,无法通知任何人:{detail}",
        "The file of the notifications' URLs cannot be used, so nobody is notified: {detail}",
        "让该文件只有 station-agent 账户可读(chmod 600、chown),或改正 notify.urls_file;一分钟内自动重读。",
        "Let only the account station-agent read it (chmod 600, chown) or correct notify.urls_file; it is read again "
        "within a minute.",
    ),
    "notify.url_missing": _error(
        "URL 文件中没有这位接收人用到的名称:{detail}",
        "The file of URLs lacks names that this recipient uses: {detail}",
        "在 URL 文件中补上,或改正 notify.recipients 中的 urls。",
        "Add them to the file of URLs, or correct `urls` in notify.recipients.",
    ),
    "notify.bad_url": _error(
        "这些名称下的 URL 不正确:{detail}",
        "What stands under these names is no URL that can be used: {detail}",
        "按 docs/notifications.md 改正 URL 文件。",
        "Correct the file of URLs as docs/notifications.md explains.",
    ),
    "notify.unknown": _error(
        "没有这位接收人:{detail}",
        "There is no such recipient: {detail}",
        "station notify list 列出全部接收人;在 notify.recipients 中添加。",
        "`station notify list` shows them; add one in notify.recipients.",
    ),
    "broker.disconnected": _warning(
        "与中心服务器的连接已断开:{detail}",
        "The link to the central server is down: {detail}",
        "检查网络;记录保存在本站,恢复后自动补发。",
        "Check the network; the log is kept here and sent when the link is back.",
    ),
    "tls.off": _warning(
        "与中心服务器的连接没有加密。",
        "The link to the central server is not encrypted: everybody on the way can read and change it.",
        "设置 mqtt.tls;证书的制作方法见 config/mosquitto/README.md。",
        "Set mqtt.tls; config/mosquitto/README.md says how certificates are made.",
    ),
    "tls.expiring": _warning(
        "与中心服务器连接的证书将于 {detail} 到期。",
        "A certificate of the link to the central server ends on {detail}.",
        "请更新证书并覆盖原文件,一分钟内自动生效。",
        "Renew it and copy it over the file; it counts within a minute, without a restart.",
    ),
    "tls.expired": _error(
        "与中心服务器连接的证书已于 {detail} 到期。",
        "A certificate of the link to the central server ended on {detail}.",
        "请更新证书并覆盖原文件;在此之前记录保存在本站。",
        "Renew it and copy it over the file; until then the log is kept here.",
    ),
    "tls.unreadable": _error(
        "证书文件不可用:{detail}",
        "A file of the link's certificates cannot be used: {detail}",
        "检查文件的内容和权限;证书与密钥必须成对,密钥不能有口令。",
        "Check what is in it and who may read it; certificate and key belong together, and the key has no pass phrase.",
    ),
    # --- requests
    "request.unknown": _error(
        "不认识的请求:{detail}",
        "Unknown request: {detail}",
        "用 station --help 查看可用的命令。",
        "See `station --help` for the commands there are.",
    ),
    "request.invalid": _error(
        "请求内容不正确:{detail}",
        "The request is not valid: {detail}",
        "按提示改正后重试。",
        "Correct it and try again.",
    ),
    "request.forbidden": _error(
        "没有权限:{detail}",
        "Not allowed: {detail}",
        "请管理员在 control.roles 中为该账户授权。",
        "An administrator can give this account a role in control.roles.",
    ),
    "request.busy": _error(
        "正忙:{detail}",
        "Busy: {detail}",
        "稍后重试。",
        "Try again in a moment.",
    ),
    "request.timed_out": _error(
        "超时:{detail}",
        "No answer in time: {detail}",
        "稍后重试;反复出现时查看 station status。",
        "Try again; if it happens again, look at `station status`.",
    ),
    "request.too_large": _error(
        "请求太大:{detail}",
        "The request is too large: {detail}",
        "减少照片的数量或大小后重试。",
        "Send fewer or smaller photos and try again.",
    ),
    "reply.too_large": _error(
        "答复太大,无法发送:{detail}",
        "The answer is too large to send: {detail}",
        "用 --limit 或更短的时间段再试。",
        "Ask for less at a time, with --limit or a shorter period.",
    ),
    "agent.not_running": _error(
        "站点程序没有运行:{detail}",
        "The agent is not running: {detail}",
        "用 systemctl status station-agent 查看原因;没有安装服务时先执行 station run,"
        "两处用同一个 --config 或 STATION_CONFIG。",
        "See `systemctl status station-agent`; without the service, start it with `station run`, "
        "and give both the same --config or STATION_CONFIG.",
    ),
    "agent.no_permission": _error(
        "这个账户不能访问控制接口:{detail}",
        "This account may not open the control socket: {detail}",
        "请管理员执行 sudo usermod -aG station-agent 账户名,重新登录后再试。",
        "An administrator can run `sudo usermod -aG station-agent ACCOUNT`; log in again afterwards.",
    ),
    "agent.bad_answer": _error(
        "站点程序的答复无法理解:{detail}",
        "The agent's answer makes no sense: {detail}",
        "程序可能刚升级:执行 sudo systemctl restart station-agent 后重试。",
        "It may just have been upgraded: run `sudo systemctl restart station-agent` and try again.",
    ),
    "agent.stopping": _error(
        "站点程序正在停止。",
        "The agent is stopping.",
        "等它重新启动后再试。",
        "Try again when it is running again.",
    ),
    "door.locked_down": _error(
        "门已封锁。",
        "The door is locked down.",
        "先执行 station door resume。",
        "Run `station door resume` first.",
    ),
    "door.blocked": _error(
        "门已停用。",
        "The door is blocked.",
        "先执行 station door resume。",
        "Run `station door resume` first.",
    ),
    "door.no_call": _error(
        "门口没有人呼叫,或呼叫已结束。",
        "Nobody at the door is calling, or the call is over.",
        "用 station status 查看;需要开门时执行 station door unlock。",
        "See `station status`; to open the door run `station door unlock`.",
    ),
    "door.no_emergency": _error(
        "本站没有启用紧急开门。",
        "This station offers no emergency opening.",
        "在配置文件中设置 emergency.enabled = true 后重启;或执行 station door unlock。",
        "Set emergency.enabled = true in the settings and restart, or run `station door unlock`.",
    ),
    "door.glass_broken": _error(
        "紧急按钮仍处于触发状态,门保持打开。",
        "The break glass is still broken, so the door stays open.",
        "到门口复位紧急按钮(更换玻璃),警报随即结束。",
        "Reset it at the door (put in new glass); the alarm ends with that.",
    ),
    "clock.untrusted": _warning(
        "时钟未经校准,开放时间可能不准。{detail}",
        "No time source has set the clock; opening hours may be wrong. {detail}",
        "检查网络和时间同步;在此期间按 schedule.untrusted_clock 执行。",
        "Check the network and its time service; schedule.untrusted_clock says what applies until then.",
    ),
    # --- enrolment
    "photo.no_face": _error(
        "照片中没有找到人脸。",
        "No face was found in the photo.",
        "请用正面、光线均匀、脸部清晰的照片。",
        "Use a photo from the front, evenly lit, with the face sharp.",
    ),
    "photo.two_faces": _error(
        "照片中有多张人脸。",
        "There is more than one face in the photo.",
        "请用只有一个人的照片。",
        "Use a photo of one person only.",
    ),
    "photo.unusable": _error(
        "照片不能使用:{detail}",
        "The photo cannot be used: {detail}",
        "请用 JPEG 或 PNG 格式、脸宽至少 80 像素的照片。",
        "Use a JPEG or PNG with a face at least 80 pixels wide.",
    ),
    "enrolment.too_few": _error(
        "清晰且姿态不同的人脸照片不够:{detail}",
        "Too few good pictures of the face that differ: {detail}",
        "请再拍几张,头稍微转向两侧、远近不同;或用 --camera 在门口摄像头前登记。",
        "Take more, with the head turned a little to either side, nearer and farther; or use --camera at the door.",
    ),
    "enrolment.two_people": _error(
        "这些照片看起来不是同一个人。",
        "These pictures do not look like one person.",
        "登记时只让本人站在镜头前,照片也只用本人的。",
        "Let only this person stand before the camera, and use only their photos.",
    ),
    # --- consent
    "consent.missing": _error(
        "没有取得本人的单独同意,不能处理人脸。",
        "Without this person's own consent their face is not looked at.",
        "用 station consent show 出示告知书;本人同意后再登记。不同意的人可用其他方式进门。",
        "Show the text (`station consent show`) and enrol once they agree. Who does not agree uses another way in.",
    ),
    "consent.no_text": _error(
        "找不到同意书的文本:{detail}",
        "The text to consent to is not there: {detail}",
        "把文件放进 config/consent,或改正 consent.version。",
        "Put the file into config/consent, or correct consent.version.",
    ),
    "consent.other_version": _error(
        "同意的不是现行文本:{detail}",
        "They consented to another text than the one in force: {detail}",
        "出示现行文本(station consent show),重新征得同意。",
        "Show the one in force (`station consent show`) and ask again.",
    ),
    "consent.guardian_missing": _error(
        "不满 {detail} 周岁,须由监护人同意。",
        "Under {detail} a guardian has to consent.",
        "由监护人同意后,加上 --guardian 及其与本人的关系。",
        "Ask the guardian, then add --guardian and how they are related.",
    ),
    "consent.expiring": _warning(
        "这些成员的同意即将到期,届时人脸数据将被删除:{detail}",
        "The consent of these members ends soon, and their stored faces are erased then: {detail}",
        "请他们在到期前重新同意并登记(station members enrol --again)。",
        "Ask them to consent and enrol again before that (`station members enrol --again`).",
    ),
    "consent.expired": _warning(
        "这些成员的同意已到期,人脸数据已删除:{detail}",
        "The consent of these members is over and their stored faces are erased: {detail}",
        "愿意继续刷脸的请重新登记(station members enrol --again);其他进门方式不受影响。",
        "Whoever wants to go on with the face enrols again (--again); their other ways in are not affected.",
    ),
    "consent.unrecorded": _warning(
        "这些成员的人脸数据没有同意记录:{detail}",
        "There is no consent on record for the stored faces of these members: {detail}",
        "请他们重新同意并登记;不同意的,执行 station members withdraw。",
        "Ask them to consent and enrol again; of who does not, `station members withdraw` erases the face.",
    ),
    "clock.not_set": _error(
        "时钟从未校准,不能记录同意的时间。",
        "The clock was never set: the time of a consent cannot be recorded.",
        "连接网络或执行 timedatectl set-time 后重试。",
        "Connect to a network, or set it with `timedatectl set-time`, and try again.",
    ),
    "member.unknown": _error(
        "没有这个成员。",
        "There is no such member.",
        "用 station members list 查看。",
        "See `station members list`.",
    ),
    "member.no_face": _error(
        "这个成员没有登记人脸。",
        "This member has no stored face.",
        "征得同意后登记(station members enrol --again);现在开门用 station door unlock。",
        "Enrol it after their consent (`station members enrol --again`); to open now run `station door unlock`.",
    ),
    "member.exists": _error(
        "编号已被使用:{detail}",
        "This id is taken: {detail}",
        "请换一个编号;如果是同一个人重新登记,加上 --again。",
        "Choose another id; if this is the same person, enrolling once more, add --again.",
    ),
    "member.validity": _error(
        "有效期的结束必须晚于开始。",
        "A validity must end after it begins.",
        "改正开始或结束时间。",
        "Correct its beginning or its end.",
    ),
    "member.other_person": _error(
        "这不是以该编号登记的人:{detail}",
        "This is not the person who is enrolled under that id: {detail}",
        "请换一个编号登记;如果确实是同一个人,先执行 station members erase 再登记。",
        "Choose another id; if they are the same person after all, `station members erase` first and enrol anew.",
    ),
    "member.already_enrolled": _error(
        "这个人已经登记过:{detail}",
        "This person is already enrolled: {detail}",
        "请先删除原来的登记;如果确实是两个人,请给第二个人其他进门方式。",
        "Erase the earlier enrolment first; if they are two people, give the second one another way in.",
    ),
    "member.looks_alike": _warning(
        "与这些成员很相像:{detail}",
        "This person looks much like these members: {detail}",
        "已登记;门可能认不出其中一人,可补拍更清晰的照片或改用编号加人脸。",
        "They are enrolled; the door may refuse one of them: take clearer photos, or use a code with the face.",
    ),
}


def problem(code: str, where: str, detail: str | Words = "", since: float | None = None) -> Problem:
    """Make a problem from its row; an unknown code is a programming error (KeyError)."""
    kind = CATALOGUE[code]
    return Problem(code, where, kind.severity, kind.text.fill(detail), kind.remedy.fill(detail), since)
