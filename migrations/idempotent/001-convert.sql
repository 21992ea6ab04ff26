create or replace function slack.to_timestamptz(ts text)
returns timestamptz
-- PostgreSQL multiplies an interval by a float of 53 bits, so microseconds alone would be inexact from the year 2255 on.
-- Whole days of 24 hours plus the microseconds of the last day are exact for all times.
return timestamptz 'epoch'
+ (ts::numeric * 1000000)::int8 / 86400000000 * interval '24 hours'
+ (ts::numeric * 1000000)::int8 % 86400000000 * interval '1 microsecond';
comment on function slack.to_timestamptz(text) is
  'Converts Slack''s "seconds.microseconds" to a time, exact to the microsecond. Raises an error if the text is not a number.';

create or replace function slack.to_uuid(value text)
returns uuid
immutable parallel safe
return case when value ~ '^[0-9a-fA-F]{8}((-[0-9a-fA-F]{4}){3}-|[0-9a-fA-F]{12})[0-9a-fA-F]{12}$' then value::uuid end;
comment on function slack.to_uuid(text) is 'Converts the text to a uuid; null if it is not one.';

create or replace function slack.to_bool(value jsonb)
returns bool
immutable parallel safe
return case value when 'true' then true when 'false' then false end;
comment on function slack.to_bool(jsonb) is 'Converts JSON true or false to bool; null for anything else.';

create or replace function slack.present(value jsonb)
returns jsonb
immutable parallel safe
return nullif(value, 'null');
comment on function slack.present(jsonb) is 'The value; SQL null for JSON null.';

create or replace function slack.merge_attributes(a jsonb, b jsonb)
returns jsonb
immutable parallel safe
return
( select coalesce(jsonb_object_agg(k.key, greatest(a -> k.key, b -> k.key)), '{}')
  from (select jsonb_object_keys(a) union select jsonb_object_keys(b)) k (key)
);
comment on function slack.merge_attributes(jsonb, jsonb) is
  'Merges two sets of attributes: each attribute gets the newer value. A set is {"name": [time, event_ts, value]}. jsonb compares such arrays from left to right, so the order of merges and repeated merges do not change the result.';

create or replace function slack.versioned(attributes jsonb, version numeric, event_ts numeric)
returns jsonb
immutable parallel safe
return
( select coalesce(jsonb_object_agg(key, jsonb_build_array(version, event_ts, value)), '{}')
  from jsonb_each(attributes)
  where value <> 'null'
);
comment on function slack.versioned(jsonb, numeric, numeric) is
  'Converts {"name": value} to attributes with one recency. Null values are left out, because an attribute that a payload lacks must not change.';

create or replace function slack.to_ts(ts timestamptz)
returns text
-- extract(epoch from …) of a timestamptz depends on no setting, so the function is immutable
immutable parallel safe
return extract(epoch from ts)::text;
comment on function slack.to_ts(timestamptz) is 'Converts a time to Slack''s "seconds.microseconds".';

create or replace function slack.text_of(object jsonb, key text)
returns text
immutable parallel safe
return case when jsonb_typeof(object -> key) = 'string' then object ->> key end;
comment on function slack.text_of(jsonb, text) is
  'The string at the key; null if there is none. A value of another type also yields null, while ->> would yield its JSON text.';

create or replace function slack.time_of(object jsonb, key text)
returns timestamptz
-- One expression without a subquery, so that PostgreSQL inlines it.
return case
  when object ->> key ~ '^[0-9]{1,12}(\.[0-9]{1,9})?$' then
    case when (object ->> key)::numeric < 253402300799.9999995 then slack.to_timestamptz(object ->> key) end
end;
comment on function slack.time_of(jsonb, text) is
  'Converts Slack''s "seconds.microseconds" at the key, a string or a number, to a time; null for anything else, and for times from the year 10000 on.';

create or replace function slack.id_of(object jsonb, key text)
returns text
immutable parallel safe
return case
  when jsonb_typeof(object -> key) = 'object' then slack.text_of(object -> key, 'id')
  else slack.text_of(object, key)
end;
comment on function slack.id_of(jsonb, text) is 'The id at the key: the string there, or the id of the object there; null for anything else.';

create or replace function slack.of_type(value jsonb, type text)
returns jsonb
immutable parallel safe
return case when jsonb_typeof(value) = type then value end;
comment on function slack.of_type(jsonb, text) is 'The value if jsonb_typeof() says it has this type; null otherwise.';

create or replace function slack.number_of(value jsonb)
returns numeric
immutable parallel safe
return case
  when jsonb_typeof(value) = 'number' then value::numeric
  when jsonb_typeof(value) = 'string' and value #>> '{}' ~ '^[0-9]{1,18}(\.[0-9]{1,9})?$' then (value #>> '{}')::numeric
end;
comment on function slack.number_of(jsonb) is 'A JSON number, or a number in a string, such as Slack''s times; null for anything else.';

create or replace function slack.integer_of(value jsonb, low numeric, high numeric)
returns jsonb
immutable parallel safe
return case when jsonb_typeof(value) = 'number' then
  case when value::numeric between low and high and value::numeric = trunc(value::numeric) then value end
end;
comment on function slack.integer_of(jsonb, numeric, numeric) is 'The value if it is a whole number within the bounds; null otherwise.';

create or replace function slack.emoji_names(emoji text)
returns text[]
language plpgsql immutable parallel safe
returns null on null input
as $func$
begin
  -- Slack's names (Unicode 15), without variation selectors and skin tones.
  return string_to_array('{
"😀":"grinning","😃":"smiley","😄":"smile","😁":"grin","😆":"laughing satisfied","😅":"sweat_smile","🤣":"rolling_on_the_floor_laughing","😂":"joy","🙂":"slightly_smiling_face","🙃":"upside_down_face","🫠":"melting_face","😉":"wink","😊":"blush",
"😇":"innocent","🥰":"smiling_face_with_3_hearts","😍":"heart_eyes","🤩":"star-struck grinning_face_with_star_eyes","😘":"kissing_heart","😗":"kissing","☺":"relaxed","😚":"kissing_closed_eyes","😙":"kissing_smiling_eyes",
"🥲":"smiling_face_with_tear","😋":"yum","😛":"stuck_out_tongue","😜":"stuck_out_tongue_winking_eye","🤪":"zany_face grinning_face_with_one_large_and_one_small_eye","😝":"stuck_out_tongue_closed_eyes","🤑":"money_mouth_face","🤗":"hugging_face",
"🤭":"face_with_hand_over_mouth smiling_face_with_smiling_eyes_and_hand_covering_mouth","🫢":"face_with_open_eyes_and_hand_over_mouth","🫣":"face_with_peeking_eye","🤫":"shushing_face face_with_finger_covering_closed_lips",
"🤔":"thinking_face","🫡":"saluting_face","🤐":"zipper_mouth_face","🤨":"face_with_raised_eyebrow face_with_one_eyebrow_raised","😐":"neutral_face","😑":"expressionless","😶":"no_mouth","🫥":"dotted_line_face","😶\u200d🌫":"face_in_clouds",
"😏":"smirk","😒":"unamused","🙄":"face_with_rolling_eyes","😬":"grimacing","😮\u200d💨":"face_exhaling","🤥":"lying_face","🫨":"shaking_face","🙂\u200d↔":"head_shaking_horizontally","🙂\u200d↕":"head_shaking_vertically","😌":"relieved",
"😔":"pensive","😪":"sleepy","🤤":"drooling_face","😴":"sleeping","😷":"mask","🤒":"face_with_thermometer","🤕":"face_with_head_bandage","🤢":"nauseated_face","🤮":"face_vomiting face_with_open_mouth_vomiting","🤧":"sneezing_face","🥵":"hot_face",
"🥶":"cold_face","🥴":"woozy_face","😵":"dizzy_face","😵\u200d💫":"face_with_spiral_eyes","🤯":"exploding_head shocked_face_with_exploding_head","🤠":"face_with_cowboy_hat","🥳":"partying_face","🥸":"disguised_face","😎":"sunglasses",
"🤓":"nerd_face","🧐":"face_with_monocle","😕":"confused","🫤":"face_with_diagonal_mouth","😟":"worried","🙁":"slightly_frowning_face","☹":"white_frowning_face","😮":"open_mouth","😯":"hushed","😲":"astonished","😳":"flushed","🥺":"pleading_face",
"🥹":"face_holding_back_tears","😦":"frowning","😧":"anguished","😨":"fearful","😰":"cold_sweat","😥":"disappointed_relieved","😢":"cry","😭":"sob","😱":"scream","😖":"confounded","😣":"persevere","😞":"disappointed","😓":"sweat","😩":"weary",
"😫":"tired_face","🥱":"yawning_face","😤":"triumph","😡":"rage","😠":"angry","🤬":"face_with_symbols_on_mouth serious_face_with_symbols_covering_mouth","😈":"smiling_imp","👿":"imp","💀":"skull","☠":"skull_and_crossbones","💩":"hankey poop shit",
"🤡":"clown_face","👹":"japanese_ogre","👺":"japanese_goblin","👻":"ghost","👽":"alien","👾":"space_invader","🤖":"robot_face","😺":"smiley_cat","😸":"smile_cat","😹":"joy_cat","😻":"heart_eyes_cat","😼":"smirk_cat","😽":"kissing_cat",
"🙀":"scream_cat","😿":"crying_cat_face","😾":"pouting_cat","🙈":"see_no_evil","🙉":"hear_no_evil","🙊":"speak_no_evil","💌":"love_letter","💘":"cupid","💝":"gift_heart","💖":"sparkling_heart","💗":"heartpulse","💓":"heartbeat",
"💞":"revolving_hearts","💕":"two_hearts","💟":"heart_decoration","❣":"heavy_heart_exclamation_mark_ornament","💔":"broken_heart","❤\u200d🔥":"heart_on_fire","❤\u200d🩹":"mending_heart","❤":"heart","🩷":"pink_heart","🧡":"orange_heart",
"💛":"yellow_heart","💚":"green_heart","💙":"blue_heart","🩵":"light_blue_heart","💜":"purple_heart","🤎":"brown_heart","🖤":"black_heart","🩶":"grey_heart","🤍":"white_heart","💋":"kiss","💯":"100","💢":"anger","💥":"boom collision","💫":"dizzy",
"💦":"sweat_drops","💨":"dash","🕳":"hole","💬":"speech_balloon","👁\u200d🗨":"eye-in-speech-bubble","🗨":"left_speech_bubble","🗯":"right_anger_bubble","💭":"thought_balloon","💤":"zzz","👋":"wave","🤚":"raised_back_of_hand",
"🖐":"raised_hand_with_fingers_splayed","✋":"hand raised_hand","🖖":"spock-hand","🫱":"rightwards_hand","🫲":"leftwards_hand","🫳":"palm_down_hand","🫴":"palm_up_hand","🫷":"leftwards_pushing_hand","🫸":"rightwards_pushing_hand","👌":"ok_hand",
"🤌":"pinched_fingers","🤏":"pinching_hand","✌":"v","🤞":"crossed_fingers hand_with_index_and_middle_fingers_crossed","🫰":"hand_with_index_finger_and_thumb_crossed","🤟":"i_love_you_hand_sign","🤘":"the_horns sign_of_the_horns",
"🤙":"call_me_hand","👈":"point_left","👉":"point_right","👆":"point_up_2","🖕":"middle_finger reversed_hand_with_middle_finger_extended","👇":"point_down","☝":"point_up","🫵":"index_pointing_at_the_viewer","👍":"+1 thumbsup",
"👎":"-1 thumbsdown","✊":"fist","👊":"facepunch punch","🤛":"left-facing_fist","🤜":"right-facing_fist","👏":"clap","🙌":"raised_hands","🫶":"heart_hands","👐":"open_hands","🤲":"palms_up_together","🤝":"handshake","🙏":"pray","✍":"writing_hand",
"💅":"nail_care","🤳":"selfie","💪":"muscle","🦾":"mechanical_arm","🦿":"mechanical_leg","🦵":"leg","🦶":"foot","👂":"ear","🦻":"ear_with_hearing_aid","👃":"nose","🧠":"brain","🫀":"anatomical_heart","🫁":"lungs","🦷":"tooth","🦴":"bone","👀":"eyes",
"👁":"eye","👅":"tongue","👄":"lips","🫦":"biting_lip","👶":"baby","🧒":"child","👦":"boy","👧":"girl","🧑":"adult","👱":"person_with_blond_hair","👨":"man","🧔":"bearded_person","🧔\u200d♂":"man_with_beard","🧔\u200d♀":"woman_with_beard",
"👨\u200d🦰":"red_haired_man","👨\u200d🦱":"curly_haired_man","👨\u200d🦳":"white_haired_man","👨\u200d🦲":"bald_man","👩":"woman","👩\u200d🦰":"red_haired_woman","🧑\u200d🦰":"red_haired_person","👩\u200d🦱":"curly_haired_woman",
"🧑\u200d🦱":"curly_haired_person","👩\u200d🦳":"white_haired_woman","🧑\u200d🦳":"white_haired_person","👩\u200d🦲":"bald_woman","🧑\u200d🦲":"bald_person","👱\u200d♀":"blond-haired-woman","👱\u200d♂":"blond-haired-man","🧓":"older_adult",
"👴":"older_man","👵":"older_woman","🙍":"person_frowning","🙍\u200d♂":"man-frowning","🙍\u200d♀":"woman-frowning","🙎":"person_with_pouting_face","🙎\u200d♂":"man-pouting","🙎\u200d♀":"woman-pouting","🙅":"no_good","🙅\u200d♂":"man-gesturing-no",
"🙅\u200d♀":"woman-gesturing-no","🙆":"ok_woman","🙆\u200d♂":"man-gesturing-ok","🙆\u200d♀":"woman-gesturing-ok","💁":"information_desk_person","💁\u200d♂":"man-tipping-hand","💁\u200d♀":"woman-tipping-hand","🙋":"raising_hand",
"🙋\u200d♂":"man-raising-hand","🙋\u200d♀":"woman-raising-hand","🧏":"deaf_person","🧏\u200d♂":"deaf_man","🧏\u200d♀":"deaf_woman","🙇":"bow","🙇\u200d♂":"man-bowing","🙇\u200d♀":"woman-bowing","🤦":"face_palm","🤦\u200d♂":"man-facepalming",
"🤦\u200d♀":"woman-facepalming","🤷":"shrug","🤷\u200d♂":"man-shrugging","🤷\u200d♀":"woman-shrugging","🧑\u200d⚕":"health_worker","👨\u200d⚕":"male-doctor","👩\u200d⚕":"female-doctor","🧑\u200d🎓":"student","👨\u200d🎓":"male-student",
"👩\u200d🎓":"female-student","🧑\u200d🏫":"teacher","👨\u200d🏫":"male-teacher","👩\u200d🏫":"female-teacher","🧑\u200d⚖":"judge","👨\u200d⚖":"male-judge","👩\u200d⚖":"female-judge","🧑\u200d🌾":"farmer","👨\u200d🌾":"male-farmer",
"👩\u200d🌾":"female-farmer","🧑\u200d🍳":"cook","👨\u200d🍳":"male-cook","👩\u200d🍳":"female-cook","🧑\u200d🔧":"mechanic","👨\u200d🔧":"male-mechanic","👩\u200d🔧":"female-mechanic","🧑\u200d🏭":"factory_worker","👨\u200d🏭":"male-factory-worker",
"👩\u200d🏭":"female-factory-worker","🧑\u200d💼":"office_worker","👨\u200d💼":"male-office-worker","👩\u200d💼":"female-office-worker","🧑\u200d🔬":"scientist","👨\u200d🔬":"male-scientist","👩\u200d🔬":"female-scientist","🧑\u200d💻":"technologist",
"👨\u200d💻":"male-technologist","👩\u200d💻":"female-technologist","🧑\u200d🎤":"singer","👨\u200d🎤":"male-singer","👩\u200d🎤":"female-singer","🧑\u200d🎨":"artist","👨\u200d🎨":"male-artist","👩\u200d🎨":"female-artist","🧑\u200d✈":"pilot",
"👨\u200d✈":"male-pilot","👩\u200d✈":"female-pilot","🧑\u200d🚀":"astronaut","👨\u200d🚀":"male-astronaut","👩\u200d🚀":"female-astronaut","🧑\u200d🚒":"firefighter","👨\u200d🚒":"male-firefighter","👩\u200d🚒":"female-firefighter","👮":"cop",
"👮\u200d♂":"male-police-officer","👮\u200d♀":"female-police-officer","🕵":"sleuth_or_spy","🕵\u200d♂":"male-detective","🕵\u200d♀":"female-detective","💂":"guardsman","💂\u200d♂":"male-guard","💂\u200d♀":"female-guard","🥷":"ninja",
"👷":"construction_worker","👷\u200d♂":"male-construction-worker","👷\u200d♀":"female-construction-worker","🫅":"person_with_crown","🤴":"prince","👸":"princess","👳":"man_with_turban","👳\u200d♂":"man-wearing-turban",
"👳\u200d♀":"woman-wearing-turban","👲":"man_with_gua_pi_mao","🧕":"person_with_headscarf","🤵":"person_in_tuxedo","🤵\u200d♂":"man_in_tuxedo","🤵\u200d♀":"woman_in_tuxedo","👰":"bride_with_veil","👰\u200d♂":"man_with_veil",
"👰\u200d♀":"woman_with_veil","🤰":"pregnant_woman","🫃":"pregnant_man","🫄":"pregnant_person","🤱":"breast-feeding","👩\u200d🍼":"woman_feeding_baby","👨\u200d🍼":"man_feeding_baby","🧑\u200d🍼":"person_feeding_baby","👼":"angel","🎅":"santa",
"🤶":"mrs_claus mother_christmas","🧑\u200d🎄":"mx_claus","🦸":"superhero","🦸\u200d♂":"male_superhero","🦸\u200d♀":"female_superhero","🦹":"supervillain","🦹\u200d♂":"male_supervillain","🦹\u200d♀":"female_supervillain","🧙":"mage",
"🧙\u200d♂":"male_mage","🧙\u200d♀":"female_mage","🧚":"fairy","🧚\u200d♂":"male_fairy","🧚\u200d♀":"female_fairy","🧛":"vampire","🧛\u200d♂":"male_vampire","🧛\u200d♀":"female_vampire","🧜":"merperson","🧜\u200d♂":"merman","🧜\u200d♀":"mermaid",
"🧝":"elf","🧝\u200d♂":"male_elf","🧝\u200d♀":"female_elf","🧞":"genie","🧞\u200d♂":"male_genie","🧞\u200d♀":"female_genie","🧟":"zombie","🧟\u200d♂":"male_zombie","🧟\u200d♀":"female_zombie","🧌":"troll","💆":"massage",
"💆\u200d♂":"man-getting-massage","💆\u200d♀":"woman-getting-massage","💇":"haircut","💇\u200d♂":"man-getting-haircut","💇\u200d♀":"woman-getting-haircut","🚶":"walking","🚶\u200d♂":"man-walking","🚶\u200d♀":"woman-walking",
"🚶\u200d➡":"person_walking_facing_right","🚶\u200d♀\u200d➡":"woman_walking_facing_right","🚶\u200d♂\u200d➡":"man_walking_facing_right","🧍":"standing_person","🧍\u200d♂":"man_standing","🧍\u200d♀":"woman_standing","🧎":"kneeling_person",
"🧎\u200d♂":"man_kneeling","🧎\u200d♀":"woman_kneeling","🧎\u200d➡":"person_kneeling_facing_right","🧎\u200d♀\u200d➡":"woman_kneeling_facing_right","🧎\u200d♂\u200d➡":"man_kneeling_facing_right","🧑\u200d🦯":"person_with_probing_cane",
"🧑\u200d🦯\u200d➡":"person_with_white_cane_facing_right","👨\u200d🦯":"man_with_probing_cane","👨\u200d🦯\u200d➡":"man_with_white_cane_facing_right","👩\u200d🦯":"woman_with_probing_cane","👩\u200d🦯\u200d➡":"woman_with_white_cane_facing_right",
"🧑\u200d🦼":"person_in_motorized_wheelchair","🧑\u200d🦼\u200d➡":"person_in_motorized_wheelchair_facing_right","👨\u200d🦼":"man_in_motorized_wheelchair","👨\u200d🦼\u200d➡":"man_in_motorized_wheelchair_facing_right",
"👩\u200d🦼":"woman_in_motorized_wheelchair","👩\u200d🦼\u200d➡":"woman_in_motorized_wheelchair_facing_right","🧑\u200d🦽":"person_in_manual_wheelchair","🧑\u200d🦽\u200d➡":"person_in_manual_wheelchair_facing_right",
"👨\u200d🦽":"man_in_manual_wheelchair","👨\u200d🦽\u200d➡":"man_in_manual_wheelchair_facing_right","👩\u200d🦽":"woman_in_manual_wheelchair","👩\u200d🦽\u200d➡":"woman_in_manual_wheelchair_facing_right","🏃":"runner running",
"🏃\u200d♂":"man-running","🏃\u200d♀":"woman-running","🏃\u200d➡":"person_running_facing_right","🏃\u200d♀\u200d➡":"woman_running_facing_right","🏃\u200d♂\u200d➡":"man_running_facing_right","💃":"dancer","🕺":"man_dancing",
"🕴":"man_in_business_suit_levitating","👯":"dancers","👯\u200d♂":"men-with-bunny-ears-partying man-with-bunny-ears-partying","👯\u200d♀":"women-with-bunny-ears-partying woman-with-bunny-ears-partying","🧖":"person_in_steamy_room",
"🧖\u200d♂":"man_in_steamy_room","🧖\u200d♀":"woman_in_steamy_room","🧗":"person_climbing","🧗\u200d♂":"man_climbing","🧗\u200d♀":"woman_climbing","🤺":"fencer","🏇":"horse_racing","⛷":"skier","🏂":"snowboarder","🏌":"golfer",
"🏌\u200d♂":"man-golfing","🏌\u200d♀":"woman-golfing","🏄":"surfer","🏄\u200d♂":"man-surfing","🏄\u200d♀":"woman-surfing","🚣":"rowboat","🚣\u200d♂":"man-rowing-boat","🚣\u200d♀":"woman-rowing-boat","🏊":"swimmer","🏊\u200d♂":"man-swimming",
"🏊\u200d♀":"woman-swimming","⛹":"person_with_ball","⛹\u200d♂":"man-bouncing-ball","⛹\u200d♀":"woman-bouncing-ball","🏋":"weight_lifter","🏋\u200d♂":"man-lifting-weights","🏋\u200d♀":"woman-lifting-weights","🚴":"bicyclist",
"🚴\u200d♂":"man-biking","🚴\u200d♀":"woman-biking","🚵":"mountain_bicyclist","🚵\u200d♂":"man-mountain-biking","🚵\u200d♀":"woman-mountain-biking","🤸":"person_doing_cartwheel","🤸\u200d♂":"man-cartwheeling","🤸\u200d♀":"woman-cartwheeling",
"🤼":"wrestlers","🤼\u200d♂":"man-wrestling","🤼\u200d♀":"woman-wrestling","🤽":"water_polo","🤽\u200d♂":"man-playing-water-polo","🤽\u200d♀":"woman-playing-water-polo","🤾":"handball","🤾\u200d♂":"man-playing-handball",
"🤾\u200d♀":"woman-playing-handball","🤹":"juggling","🤹\u200d♂":"man-juggling","🤹\u200d♀":"woman-juggling","🧘":"person_in_lotus_position","🧘\u200d♂":"man_in_lotus_position","🧘\u200d♀":"woman_in_lotus_position","🛀":"bath",
"🛌":"sleeping_accommodation","🧑\u200d🤝\u200d🧑":"people_holding_hands","👭":"two_women_holding_hands women_holding_hands","👫":"man_and_woman_holding_hands woman_and_man_holding_hands couple","👬":"two_men_holding_hands men_holding_hands",
"💏":"couplekiss","👩\u200d❤\u200d💋\u200d👨":"woman-kiss-man","👨\u200d❤\u200d💋\u200d👨":"man-kiss-man","👩\u200d❤\u200d💋\u200d👩":"woman-kiss-woman","💑":"couple_with_heart","👩\u200d❤\u200d👨":"woman-heart-man","👨\u200d❤\u200d👨":"man-heart-man",
"👩\u200d❤\u200d👩":"woman-heart-woman","👨\u200d👩\u200d👦":"man-woman-boy","👨\u200d👩\u200d👧":"man-woman-girl","👨\u200d👩\u200d👧\u200d👦":"man-woman-girl-boy","👨\u200d👩\u200d👦\u200d👦":"man-woman-boy-boy",
"👨\u200d👩\u200d👧\u200d👧":"man-woman-girl-girl","👨\u200d👨\u200d👦":"man-man-boy","👨\u200d👨\u200d👧":"man-man-girl","👨\u200d👨\u200d👧\u200d👦":"man-man-girl-boy","👨\u200d👨\u200d👦\u200d👦":"man-man-boy-boy",
"👨\u200d👨\u200d👧\u200d👧":"man-man-girl-girl","👩\u200d👩\u200d👦":"woman-woman-boy","👩\u200d👩\u200d👧":"woman-woman-girl","👩\u200d👩\u200d👧\u200d👦":"woman-woman-girl-boy","👩\u200d👩\u200d👦\u200d👦":"woman-woman-boy-boy",
"👩\u200d👩\u200d👧\u200d👧":"woman-woman-girl-girl","👨\u200d👦":"man-boy","👨\u200d👦\u200d👦":"man-boy-boy","👨\u200d👧":"man-girl","👨\u200d👧\u200d👦":"man-girl-boy","👨\u200d👧\u200d👧":"man-girl-girl","👩\u200d👦":"woman-boy",
"👩\u200d👦\u200d👦":"woman-boy-boy","👩\u200d👧":"woman-girl","👩\u200d👧\u200d👦":"woman-girl-boy","👩\u200d👧\u200d👧":"woman-girl-girl","🗣":"speaking_head_in_silhouette","👤":"bust_in_silhouette","👥":"busts_in_silhouette","🫂":"people_hugging",
"👪":"family","🧑\u200d🧑\u200d🧒":"family_adult_adult_child","🧑\u200d🧑\u200d🧒\u200d🧒":"family_adult_adult_child_child","🧑\u200d🧒":"family_adult_child","🧑\u200d🧒\u200d🧒":"family_adult_child_child","👣":"footprints","🐵":"monkey_face",
"🐒":"monkey","🦍":"gorilla","🦧":"orangutan","🐶":"dog","🐕":"dog2","🦮":"guide_dog","🐕\u200d🦺":"service_dog","🐩":"poodle","🐺":"wolf","🦊":"fox_face","🦝":"raccoon","🐱":"cat","🐈":"cat2","🐈\u200d⬛":"black_cat","🦁":"lion_face","🐯":"tiger",
"🐅":"tiger2","🐆":"leopard","🐴":"horse","🫎":"moose","🫏":"donkey","🐎":"racehorse","🦄":"unicorn_face","🦓":"zebra_face","🦌":"deer","🦬":"bison","🐮":"cow","🐂":"ox","🐃":"water_buffalo","🐄":"cow2","🐷":"pig","🐖":"pig2","🐗":"boar","🐽":"pig_nose",
"🐏":"ram","🐑":"sheep","🐐":"goat","🐪":"dromedary_camel","🐫":"camel","🦙":"llama","🦒":"giraffe_face","🐘":"elephant","🦣":"mammoth","🦏":"rhinoceros","🦛":"hippopotamus","🐭":"mouse","🐁":"mouse2","🐀":"rat","🐹":"hamster","🐰":"rabbit",
"🐇":"rabbit2","🐿":"chipmunk","🦫":"beaver","🦔":"hedgehog","🦇":"bat","🐻":"bear","🐻\u200d❄":"polar_bear","🐨":"koala","🐼":"panda_face","🦥":"sloth","🦦":"otter","🦨":"skunk","🦘":"kangaroo","🦡":"badger","🐾":"feet paw_prints","🦃":"turkey",
"🐔":"chicken","🐓":"rooster","🐣":"hatching_chick","🐤":"baby_chick","🐥":"hatched_chick","🐦":"bird","🐧":"penguin","🕊":"dove_of_peace","🦅":"eagle","🦆":"duck","🦢":"swan","🦉":"owl","🦤":"dodo","🪶":"feather","🦩":"flamingo","🦚":"peacock",
"🦜":"parrot","🪽":"wing","🐦\u200d⬛":"black_bird","🪿":"goose","🐦\u200d🔥":"phoenix","🐸":"frog","🐊":"crocodile","🐢":"turtle","🦎":"lizard","🐍":"snake","🐲":"dragon_face","🐉":"dragon","🦕":"sauropod","🦖":"t-rex","🐳":"whale","🐋":"whale2",
"🐬":"dolphin flipper","🦭":"seal","🐟":"fish","🐠":"tropical_fish","🐡":"blowfish","🦈":"shark","🐙":"octopus","🐚":"shell","🪸":"coral","🪼":"jellyfish","🐌":"snail","🦋":"butterfly","🐛":"bug","🐜":"ant","🐝":"bee honeybee","🪲":"beetle",
"🐞":"ladybug lady_beetle","🦗":"cricket","🪳":"cockroach","🕷":"spider","🕸":"spider_web","🦂":"scorpion","🦟":"mosquito","🪰":"fly","🪱":"worm","🦠":"microbe","💐":"bouquet","🌸":"cherry_blossom","💮":"white_flower","🪷":"lotus","🏵":"rosette",
"🌹":"rose","🥀":"wilted_flower","🌺":"hibiscus","🌻":"sunflower","🌼":"blossom","🌷":"tulip","🪻":"hyacinth","🌱":"seedling","🪴":"potted_plant","🌲":"evergreen_tree","🌳":"deciduous_tree","🌴":"palm_tree","🌵":"cactus","🌾":"ear_of_rice","🌿":"herb",
"☘":"shamrock","🍀":"four_leaf_clover","🍁":"maple_leaf","🍂":"fallen_leaf","🍃":"leaves","🪹":"empty_nest","🪺":"nest_with_eggs","🍄":"mushroom","🍇":"grapes","🍈":"melon","🍉":"watermelon","🍊":"tangerine","🍋":"lemon","🍋\u200d🟩":"lime",
"🍌":"banana","🍍":"pineapple","🥭":"mango","🍎":"apple","🍏":"green_apple","🍐":"pear","🍑":"peach","🍒":"cherries","🍓":"strawberry","🫐":"blueberries","🥝":"kiwifruit","🍅":"tomato","🫒":"olive","🥥":"coconut","🥑":"avocado","🍆":"eggplant",
"🥔":"potato","🥕":"carrot","🌽":"corn","🌶":"hot_pepper","🫑":"bell_pepper","🥒":"cucumber","🥬":"leafy_green","🥦":"broccoli","🧄":"garlic","🧅":"onion","🥜":"peanuts","🫘":"beans","🌰":"chestnut","🫚":"ginger_root","🫛":"pea_pod",
"🍄\u200d🟫":"brown_mushroom","🍞":"bread","🥐":"croissant","🥖":"baguette_bread","🫓":"flatbread","🥨":"pretzel","🥯":"bagel","🥞":"pancakes","🧇":"waffle","🧀":"cheese_wedge","🍖":"meat_on_bone","🍗":"poultry_leg","🥩":"cut_of_meat","🥓":"bacon",
"🍔":"hamburger","🍟":"fries","🍕":"pizza","🌭":"hotdog","🥪":"sandwich","🌮":"taco","🌯":"burrito","🫔":"tamale","🥙":"stuffed_flatbread","🧆":"falafel","🥚":"egg","🍳":"fried_egg cooking","🥘":"shallow_pan_of_food","🍲":"stew","🫕":"fondue",
"🥣":"bowl_with_spoon","🥗":"green_salad","🍿":"popcorn","🧈":"butter","🧂":"salt","🥫":"canned_food","🍱":"bento","🍘":"rice_cracker","🍙":"rice_ball","🍚":"rice","🍛":"curry","🍜":"ramen","🍝":"spaghetti","🍠":"sweet_potato","🍢":"oden","🍣":"sushi",
"🍤":"fried_shrimp","🍥":"fish_cake","🥮":"moon_cake","🍡":"dango","🥟":"dumpling","🥠":"fortune_cookie","🥡":"takeout_box","🦀":"crab","🦞":"lobster","🦐":"shrimp","🦑":"squid","🦪":"oyster","🍦":"icecream","🍧":"shaved_ice","🍨":"ice_cream",
"🍩":"doughnut","🍪":"cookie","🎂":"birthday","🍰":"cake","🧁":"cupcake","🥧":"pie","🍫":"chocolate_bar","🍬":"candy","🍭":"lollipop","🍮":"custard","🍯":"honey_pot","🍼":"baby_bottle","🥛":"glass_of_milk","☕":"coffee","🫖":"teapot","🍵":"tea",
"🍶":"sake","🍾":"champagne","🍷":"wine_glass","🍸":"cocktail","🍹":"tropical_drink","🍺":"beer","🍻":"beers","🥂":"clinking_glasses","🥃":"tumbler_glass","🫗":"pouring_liquid","🥤":"cup_with_straw","🧋":"bubble_tea","🧃":"beverage_box",
"🧉":"mate_drink","🧊":"ice_cube","🥢":"chopsticks","🍽":"knife_fork_plate","🍴":"fork_and_knife","🥄":"spoon","🔪":"hocho knife","🫙":"jar","🏺":"amphora","🌍":"earth_africa","🌎":"earth_americas","🌏":"earth_asia","🌐":"globe_with_meridians",
"🗺":"world_map","🗾":"japan","🧭":"compass","🏔":"snow_capped_mountain","⛰":"mountain","🌋":"volcano","🗻":"mount_fuji","🏕":"camping","🏖":"beach_with_umbrella","🏜":"desert","🏝":"desert_island","🏞":"national_park","🏟":"stadium",
"🏛":"classical_building","🏗":"building_construction","🧱":"bricks","🪨":"rock","🪵":"wood","🛖":"hut","🏘":"house_buildings","🏚":"derelict_house_building","🏠":"house","🏡":"house_with_garden","🏢":"office","🏣":"post_office",
"🏤":"european_post_office","🏥":"hospital","🏦":"bank","🏨":"hotel","🏩":"love_hotel","🏪":"convenience_store","🏫":"school","🏬":"department_store","🏭":"factory","🏯":"japanese_castle","🏰":"european_castle","💒":"wedding","🗼":"tokyo_tower",
"🗽":"statue_of_liberty","⛪":"church","🕌":"mosque","🛕":"hindu_temple","🕍":"synagogue","⛩":"shinto_shrine","🕋":"kaaba","⛲":"fountain","⛺":"tent","🌁":"foggy","🌃":"night_with_stars","🏙":"cityscape","🌄":"sunrise_over_mountains","🌅":"sunrise",
"🌆":"city_sunset","🌇":"city_sunrise","🌉":"bridge_at_night","♨":"hotsprings","🎠":"carousel_horse","🛝":"playground_slide","🎡":"ferris_wheel","🎢":"roller_coaster","💈":"barber","🎪":"circus_tent","🚂":"steam_locomotive","🚃":"railway_car",
"🚄":"bullettrain_side","🚅":"bullettrain_front","🚆":"train2","🚇":"metro","🚈":"light_rail","🚉":"station","🚊":"tram","🚝":"monorail","🚞":"mountain_railway","🚋":"train","🚌":"bus","🚍":"oncoming_bus","🚎":"trolleybus","🚐":"minibus",
"🚑":"ambulance","🚒":"fire_engine","🚓":"police_car","🚔":"oncoming_police_car","🚕":"taxi","🚖":"oncoming_taxi","🚗":"car red_car","🚘":"oncoming_automobile","🚙":"blue_car","🛻":"pickup_truck","🚚":"truck","🚛":"articulated_lorry","🚜":"tractor",
"🏎":"racing_car","🏍":"racing_motorcycle","🛵":"motor_scooter","🦽":"manual_wheelchair","🦼":"motorized_wheelchair","🛺":"auto_rickshaw","🚲":"bike","🛴":"scooter","🛹":"skateboard","🛼":"roller_skate","🚏":"busstop","🛣":"motorway",
"🛤":"railway_track","🛢":"oil_drum","⛽":"fuelpump","🛞":"wheel","🚨":"rotating_light","🚥":"traffic_light","🚦":"vertical_traffic_light","🛑":"octagonal_sign","🚧":"construction","⚓":"anchor","🛟":"ring_buoy","⛵":"boat sailboat","🛶":"canoe",
"🚤":"speedboat","🛳":"passenger_ship","⛴":"ferry","🛥":"motor_boat","🚢":"ship","✈":"airplane","🛩":"small_airplane","🛫":"airplane_departure","🛬":"airplane_arriving","🪂":"parachute","💺":"seat","🚁":"helicopter","🚟":"suspension_railway",
"🚠":"mountain_cableway","🚡":"aerial_tramway","🛰":"satellite","🚀":"rocket","🛸":"flying_saucer","🛎":"bellhop_bell","🧳":"luggage","⌛":"hourglass","⏳":"hourglass_flowing_sand","⌚":"watch","⏰":"alarm_clock","⏱":"stopwatch","⏲":"timer_clock",
"🕰":"mantelpiece_clock","🕛":"clock12","🕧":"clock1230","🕐":"clock1","🕜":"clock130","🕑":"clock2","🕝":"clock230","🕒":"clock3","🕞":"clock330","🕓":"clock4","🕟":"clock430","🕔":"clock5","🕠":"clock530","🕕":"clock6","🕡":"clock630","🕖":"clock7",
"🕢":"clock730","🕗":"clock8","🕣":"clock830","🕘":"clock9","🕤":"clock930","🕙":"clock10","🕥":"clock1030","🕚":"clock11","🕦":"clock1130","🌑":"new_moon","🌒":"waxing_crescent_moon","🌓":"first_quarter_moon","🌔":"moon waxing_gibbous_moon",
"🌕":"full_moon","🌖":"waning_gibbous_moon","🌗":"last_quarter_moon","🌘":"waning_crescent_moon","🌙":"crescent_moon","🌚":"new_moon_with_face","🌛":"first_quarter_moon_with_face","🌜":"last_quarter_moon_with_face","🌡":"thermometer","☀":"sunny",
"🌝":"full_moon_with_face","🌞":"sun_with_face","🪐":"ringed_planet","⭐":"star","🌟":"star2","🌠":"stars","🌌":"milky_way","☁":"cloud","⛅":"partly_sunny","⛈":"thunder_cloud_and_rain","🌤":"mostly_sunny sun_small_cloud",
"🌥":"barely_sunny sun_behind_cloud","🌦":"partly_sunny_rain sun_behind_rain_cloud","🌧":"rain_cloud","🌨":"snow_cloud","🌩":"lightning lightning_cloud","🌪":"tornado tornado_cloud","🌫":"fog","🌬":"wind_blowing_face","🌀":"cyclone",
"🌈":"rainbow","🌂":"closed_umbrella","☂":"umbrella","☔":"umbrella_with_rain_drops","⛱":"umbrella_on_ground","⚡":"zap","❄":"snowflake","☃":"snowman","⛄":"snowman_without_snow","☄":"comet","🔥":"fire","💧":"droplet","🌊":"ocean",
"🎃":"jack_o_lantern","🎄":"christmas_tree","🎆":"fireworks","🎇":"sparkler","🧨":"firecracker","✨":"sparkles","🎈":"balloon","🎉":"tada","🎊":"confetti_ball","🎋":"tanabata_tree","🎍":"bamboo","🎎":"dolls","🎏":"flags","🎐":"wind_chime",
"🎑":"rice_scene","🧧":"red_envelope","🎀":"ribbon","🎁":"gift","🎗":"reminder_ribbon","🎟":"admission_tickets","🎫":"ticket","🎖":"medal","🏆":"trophy","🏅":"sports_medal","🥇":"first_place_medal","🥈":"second_place_medal","🥉":"third_place_medal",
"⚽":"soccer","⚾":"baseball","🥎":"softball","🏀":"basketball","🏐":"volleyball","🏈":"football","🏉":"rugby_football","🎾":"tennis","🥏":"flying_disc","🎳":"bowling","🏏":"cricket_bat_and_ball","🏑":"field_hockey_stick_and_ball",
"🏒":"ice_hockey_stick_and_puck","🥍":"lacrosse","🏓":"table_tennis_paddle_and_ball","🏸":"badminton_racquet_and_shuttlecock","🥊":"boxing_glove","🥋":"martial_arts_uniform","🥅":"goal_net","⛳":"golf","⛸":"ice_skate",
"🎣":"fishing_pole_and_fish","🤿":"diving_mask","🎽":"running_shirt_with_sash","🎿":"ski","🛷":"sled","🥌":"curling_stone","🎯":"dart","🪀":"yo-yo","🪁":"kite","🔫":"gun","🎱":"8ball","🔮":"crystal_ball","🪄":"magic_wand","🎮":"video_game",
"🕹":"joystick","🎰":"slot_machine","🎲":"game_die","🧩":"jigsaw","🧸":"teddy_bear","🪅":"pinata","🪩":"mirror_ball","🪆":"nesting_dolls","♠":"spades","♥":"hearts","♦":"diamonds","♣":"clubs","♟":"chess_pawn","🃏":"black_joker","🀄":"mahjong",
"🎴":"flower_playing_cards","🎭":"performing_arts","🖼":"frame_with_picture","🎨":"art","🧵":"thread","🪡":"sewing_needle","🧶":"yarn","🪢":"knot","👓":"eyeglasses","🕶":"dark_sunglasses","🥽":"goggles","🥼":"lab_coat","🦺":"safety_vest",
"👔":"necktie","👕":"shirt tshirt","👖":"jeans","🧣":"scarf","🧤":"gloves","🧥":"coat","🧦":"socks","👗":"dress","👘":"kimono","🥻":"sari","🩱":"one-piece_swimsuit","🩲":"briefs","🩳":"shorts","👙":"bikini","👚":"womans_clothes","🪭":"folding_hand_fan",
"👛":"purse","👜":"handbag","👝":"pouch","🛍":"shopping_bags","🎒":"school_satchel","🩴":"thong_sandal","👞":"mans_shoe shoe","👟":"athletic_shoe","🥾":"hiking_boot","🥿":"womans_flat_shoe","👠":"high_heel","👡":"sandal","🩰":"ballet_shoes",
"👢":"boot","🪮":"hair_pick","👑":"crown","👒":"womans_hat","🎩":"tophat","🎓":"mortar_board","🧢":"billed_cap","🪖":"military_helmet","⛑":"helmet_with_white_cross","📿":"prayer_beads","💄":"lipstick","💍":"ring","💎":"gem","🔇":"mute","🔈":"speaker",
"🔉":"sound","🔊":"loud_sound","📢":"loudspeaker","📣":"mega","📯":"postal_horn","🔔":"bell","🔕":"no_bell","🎼":"musical_score","🎵":"musical_note","🎶":"notes","🎙":"studio_microphone","🎚":"level_slider","🎛":"control_knobs","🎤":"microphone",
"🎧":"headphones","📻":"radio","🎷":"saxophone","🪗":"accordion","🎸":"guitar","🎹":"musical_keyboard","🎺":"trumpet","🎻":"violin","🪕":"banjo","🥁":"drum_with_drumsticks","🪘":"long_drum","🪇":"maracas","🪈":"flute","📱":"iphone","📲":"calling",
"☎":"phone telephone","📞":"telephone_receiver","📟":"pager","📠":"fax","🔋":"battery","🪫":"low_battery","🔌":"electric_plug","💻":"computer","🖥":"desktop_computer","🖨":"printer","⌨":"keyboard","🖱":"three_button_mouse","🖲":"trackball",
"💽":"minidisc","💾":"floppy_disk","💿":"cd","📀":"dvd","🧮":"abacus","🎥":"movie_camera","🎞":"film_frames","📽":"film_projector","🎬":"clapper","📺":"tv","📷":"camera","📸":"camera_with_flash","📹":"video_camera","📼":"vhs","🔍":"mag",
"🔎":"mag_right","🕯":"candle","💡":"bulb","🔦":"flashlight","🏮":"izakaya_lantern lantern","🪔":"diya_lamp","📔":"notebook_with_decorative_cover","📕":"closed_book","📖":"book open_book","📗":"green_book","📘":"blue_book","📙":"orange_book",
"📚":"books","📓":"notebook","📒":"ledger","📃":"page_with_curl","📜":"scroll","📄":"page_facing_up","📰":"newspaper","🗞":"rolled_up_newspaper","📑":"bookmark_tabs","🔖":"bookmark","🏷":"label","💰":"moneybag","🪙":"coin","💴":"yen","💵":"dollar",
"💶":"euro","💷":"pound","💸":"money_with_wings","💳":"credit_card","🧾":"receipt","💹":"chart","✉":"email envelope","📧":"e-mail","📨":"incoming_envelope","📩":"envelope_with_arrow","📤":"outbox_tray","📥":"inbox_tray","📦":"package","📫":"mailbox",
"📪":"mailbox_closed","📬":"mailbox_with_mail","📭":"mailbox_with_no_mail","📮":"postbox","🗳":"ballot_box_with_ballot","✏":"pencil2","✒":"black_nib","🖋":"lower_left_fountain_pen","🖊":"lower_left_ballpoint_pen","🖌":"lower_left_paintbrush",
"🖍":"lower_left_crayon","📝":"memo pencil","💼":"briefcase","📁":"file_folder","📂":"open_file_folder","🗂":"card_index_dividers","📅":"date","📆":"calendar","🗒":"spiral_note_pad","🗓":"spiral_calendar_pad","📇":"card_index",
"📈":"chart_with_upwards_trend","📉":"chart_with_downwards_trend","📊":"bar_chart","📋":"clipboard","📌":"pushpin","📍":"round_pushpin","📎":"paperclip","🖇":"linked_paperclips","📏":"straight_ruler","📐":"triangular_ruler","✂":"scissors",
"🗃":"card_file_box","🗄":"file_cabinet","🗑":"wastebasket","🔒":"lock","🔓":"unlock","🔏":"lock_with_ink_pen","🔐":"closed_lock_with_key","🔑":"key","🗝":"old_key","🔨":"hammer","🪓":"axe","⛏":"pick","⚒":"hammer_and_pick","🛠":"hammer_and_wrench",
"🗡":"dagger_knife","⚔":"crossed_swords","💣":"bomb","🪃":"boomerang","🏹":"bow_and_arrow","🛡":"shield","🪚":"carpentry_saw","🔧":"wrench","🪛":"screwdriver","🔩":"nut_and_bolt","⚙":"gear","🗜":"compression","⚖":"scales","🦯":"probing_cane",
"🔗":"link","⛓\u200d💥":"broken_chain","⛓":"chains","🪝":"hook","🧰":"toolbox","🧲":"magnet","🪜":"ladder","⚗":"alembic","🧪":"test_tube","🧫":"petri_dish","🧬":"dna","🔬":"microscope","🔭":"telescope","📡":"satellite_antenna","💉":"syringe",
"🩸":"drop_of_blood","💊":"pill","🩹":"adhesive_bandage","🩼":"crutch","🩺":"stethoscope","🩻":"x-ray","🚪":"door","🛗":"elevator","🪞":"mirror","🪟":"window","🛏":"bed","🛋":"couch_and_lamp","🪑":"chair","🚽":"toilet","🪠":"plunger","🚿":"shower",
"🛁":"bathtub","🪤":"mouse_trap","🪒":"razor","🧴":"lotion_bottle","🧷":"safety_pin","🧹":"broom","🧺":"basket","🧻":"roll_of_paper","🪣":"bucket","🧼":"soap","🫧":"bubbles","🪥":"toothbrush","🧽":"sponge","🧯":"fire_extinguisher",
"🛒":"shopping_trolley","🚬":"smoking","⚰":"coffin","🪦":"headstone","⚱":"funeral_urn","🧿":"nazar_amulet","🪬":"hamsa","🗿":"moyai","🪧":"placard","🪪":"identification_card","🏧":"atm","🚮":"put_litter_in_its_place","🚰":"potable_water",
"♿":"wheelchair","🚹":"mens","🚺":"womens","🚻":"restroom","🚼":"baby_symbol","🚾":"wc","🛂":"passport_control","🛃":"customs","🛄":"baggage_claim","🛅":"left_luggage","⚠":"warning","🚸":"children_crossing","⛔":"no_entry","🚫":"no_entry_sign",
"🚳":"no_bicycles","🚭":"no_smoking","🚯":"do_not_litter","🚱":"non-potable_water","🚷":"no_pedestrians","📵":"no_mobile_phones","🔞":"underage","☢":"radioactive_sign","☣":"biohazard_sign","⬆":"arrow_up","↗":"arrow_upper_right",
"➡":"arrow_right","↘":"arrow_lower_right","⬇":"arrow_down","↙":"arrow_lower_left","⬅":"arrow_left","↖":"arrow_upper_left","↕":"arrow_up_down","↔":"left_right_arrow","↩":"leftwards_arrow_with_hook","↪":"arrow_right_hook",
"⤴":"arrow_heading_up","⤵":"arrow_heading_down","🔃":"arrows_clockwise","🔄":"arrows_counterclockwise","🔙":"back","🔚":"end","🔛":"on","🔜":"soon","🔝":"top","🛐":"place_of_worship","⚛":"atom_symbol","🕉":"om_symbol","✡":"star_of_david",
"☸":"wheel_of_dharma","☯":"yin_yang","✝":"latin_cross","☦":"orthodox_cross","☪":"star_and_crescent","☮":"peace_symbol","🕎":"menorah_with_nine_branches","🔯":"six_pointed_star","🪯":"khanda","♈":"aries","♉":"taurus","♊":"gemini",
"♋":"cancer","♌":"leo","♍":"virgo","♎":"libra","♏":"scorpius","♐":"sagittarius","♑":"capricorn","♒":"aquarius","♓":"pisces","⛎":"ophiuchus","🔀":"twisted_rightwards_arrows","🔁":"repeat","🔂":"repeat_one","▶":"arrow_forward",
"⏩":"fast_forward","⏭":"black_right_pointing_double_triangle_with_vertical_bar","⏯":"black_right_pointing_triangle_with_double_vertical_bar","◀":"arrow_backward","⏪":"rewind","⏮":"black_left_pointing_double_triangle_with_vertical_bar",
"🔼":"arrow_up_small","⏫":"arrow_double_up","🔽":"arrow_down_small","⏬":"arrow_double_down","⏸":"double_vertical_bar","⏹":"black_square_for_stop","⏺":"black_circle_for_record","⏏":"eject","🎦":"cinema","🔅":"low_brightness",
"🔆":"high_brightness","📶":"signal_strength","🛜":"wireless","📳":"vibration_mode","📴":"mobile_phone_off","♀":"female_sign","♂":"male_sign","⚧":"transgender_symbol","✖":"heavy_multiplication_x","➕":"heavy_plus_sign","➖":"heavy_minus_sign",
"➗":"heavy_division_sign","🟰":"heavy_equals_sign","♾":"infinity","‼":"bangbang","⁉":"interrobang","❓":"question","❔":"grey_question","❕":"grey_exclamation","❗":"exclamation heavy_exclamation_mark","〰":"wavy_dash","💱":"currency_exchange",
"💲":"heavy_dollar_sign","⚕":"medical_symbol staff_of_aesculapius","♻":"recycle","⚜":"fleur_de_lis","🔱":"trident","📛":"name_badge","🔰":"beginner","⭕":"o","✅":"white_check_mark","☑":"ballot_box_with_check","✔":"heavy_check_mark","❌":"x",
"❎":"negative_squared_cross_mark","➰":"curly_loop","➿":"loop","〽":"part_alternation_mark","✳":"eight_spoked_asterisk","✴":"eight_pointed_black_star","❇":"sparkle","©":"copyright","®":"registered","™":"tm","#\u20e3":"hash",
"*\u20e3":"keycap_star","0\u20e3":"zero","1\u20e3":"one","2\u20e3":"two","3\u20e3":"three","4\u20e3":"four","5\u20e3":"five","6\u20e3":"six","7\u20e3":"seven","8\u20e3":"eight","9\u20e3":"nine","🔟":"keycap_ten","🔠":"capital_abcd",
"🔡":"abcd","🔢":"1234","🔣":"symbols","🔤":"abc","🅰":"a","🆎":"ab","🅱":"b","🆑":"cl","🆒":"cool","🆓":"free","ℹ":"information_source","🆔":"id","Ⓜ":"m","🆕":"new","🆖":"ng","🅾":"o2","🆗":"ok","🅿":"parking","🆘":"sos","🆙":"up","🆚":"vs","🈁":"koko",
"🈂":"sa","🈷":"u6708","🈶":"u6709","🈯":"u6307","🉐":"ideograph_advantage","🈹":"u5272","🈚":"u7121","🈲":"u7981","🉑":"accept","🈸":"u7533","🈴":"u5408","🈳":"u7a7a","㊗":"congratulations","㊙":"secret","🈺":"u55b6","🈵":"u6e80","🔴":"red_circle",
"🟠":"large_orange_circle","🟡":"large_yellow_circle","🟢":"large_green_circle","🔵":"large_blue_circle","🟣":"large_purple_circle","🟤":"large_brown_circle","⚫":"black_circle","⚪":"white_circle","🟥":"large_red_square",
"🟧":"large_orange_square","🟨":"large_yellow_square","🟩":"large_green_square","🟦":"large_blue_square","🟪":"large_purple_square","🟫":"large_brown_square","⬛":"black_large_square","⬜":"white_large_square","◼":"black_medium_square",
"◻":"white_medium_square","◾":"black_medium_small_square","◽":"white_medium_small_square","▪":"black_small_square","▫":"white_small_square","🔶":"large_orange_diamond","🔷":"large_blue_diamond","🔸":"small_orange_diamond",
"🔹":"small_blue_diamond","🔺":"small_red_triangle","🔻":"small_red_triangle_down","💠":"diamond_shape_with_a_dot_inside","🔘":"radio_button","🔳":"white_square_button","🔲":"black_square_button","🏁":"checkered_flag",
"🚩":"triangular_flag_on_post","🎌":"crossed_flags","🏴":"waving_black_flag","🏳":"waving_white_flag","🏳\u200d🌈":"rainbow-flag","🏳\u200d⚧":"transgender_flag","🏴\u200d☠":"pirate_flag","🇦🇨":"flag-ac","🇦🇩":"flag-ad","🇦🇪":"flag-ae",
"🇦🇫":"flag-af","🇦🇬":"flag-ag","🇦🇮":"flag-ai","🇦🇱":"flag-al","🇦🇲":"flag-am","🇦🇴":"flag-ao","🇦🇶":"flag-aq","🇦🇷":"flag-ar","🇦🇸":"flag-as","🇦🇹":"flag-at","🇦🇺":"flag-au","🇦🇼":"flag-aw","🇦🇽":"flag-ax","🇦🇿":"flag-az","🇧🇦":"flag-ba",
"🇧🇧":"flag-bb","🇧🇩":"flag-bd","🇧🇪":"flag-be","🇧🇫":"flag-bf","🇧🇬":"flag-bg","🇧🇭":"flag-bh","🇧🇮":"flag-bi","🇧🇯":"flag-bj","🇧🇱":"flag-bl","🇧🇲":"flag-bm","🇧🇳":"flag-bn","🇧🇴":"flag-bo","🇧🇶":"flag-bq","🇧🇷":"flag-br","🇧🇸":"flag-bs",
"🇧🇹":"flag-bt","🇧🇻":"flag-bv","🇧🇼":"flag-bw","🇧🇾":"flag-by","🇧🇿":"flag-bz","🇨🇦":"flag-ca","🇨🇨":"flag-cc","🇨🇩":"flag-cd","🇨🇫":"flag-cf","🇨🇬":"flag-cg","🇨🇭":"flag-ch","🇨🇮":"flag-ci","🇨🇰":"flag-ck","🇨🇱":"flag-cl","🇨🇲":"flag-cm",
"🇨🇳":"cn flag-cn","🇨🇴":"flag-co","🇨🇵":"flag-cp","🇨🇷":"flag-cr","🇨🇺":"flag-cu","🇨🇻":"flag-cv","🇨🇼":"flag-cw","🇨🇽":"flag-cx","🇨🇾":"flag-cy","🇨🇿":"flag-cz","🇩🇪":"de flag-de","🇩🇬":"flag-dg","🇩🇯":"flag-dj","🇩🇰":"flag-dk","🇩🇲":"flag-dm",
"🇩🇴":"flag-do","🇩🇿":"flag-dz","🇪🇦":"flag-ea","🇪🇨":"flag-ec","🇪🇪":"flag-ee","🇪🇬":"flag-eg","🇪🇭":"flag-eh","🇪🇷":"flag-er","🇪🇸":"es flag-es","🇪🇹":"flag-et","🇪🇺":"flag-eu","🇫🇮":"flag-fi","🇫🇯":"flag-fj","🇫🇰":"flag-fk","🇫🇲":"flag-fm",
"🇫🇴":"flag-fo","🇫🇷":"fr flag-fr","🇬🇦":"flag-ga","🇬🇧":"gb uk flag-gb","🇬🇩":"flag-gd","🇬🇪":"flag-ge","🇬🇫":"flag-gf","🇬🇬":"flag-gg","🇬🇭":"flag-gh","🇬🇮":"flag-gi","🇬🇱":"flag-gl","🇬🇲":"flag-gm","🇬🇳":"flag-gn","🇬🇵":"flag-gp","🇬🇶":"flag-gq",
"🇬🇷":"flag-gr","🇬🇸":"flag-gs","🇬🇹":"flag-gt","🇬🇺":"flag-gu","🇬🇼":"flag-gw","🇬🇾":"flag-gy","🇭🇰":"flag-hk","🇭🇲":"flag-hm","🇭🇳":"flag-hn","🇭🇷":"flag-hr","🇭🇹":"flag-ht","🇭🇺":"flag-hu","🇮🇨":"flag-ic","🇮🇩":"flag-id","🇮🇪":"flag-ie",
"🇮🇱":"flag-il","🇮🇲":"flag-im","🇮🇳":"flag-in","🇮🇴":"flag-io","🇮🇶":"flag-iq","🇮🇷":"flag-ir","🇮🇸":"flag-is","🇮🇹":"it flag-it","🇯🇪":"flag-je","🇯🇲":"flag-jm","🇯🇴":"flag-jo","🇯🇵":"jp flag-jp","🇰🇪":"flag-ke","🇰🇬":"flag-kg","🇰🇭":"flag-kh",
"🇰🇮":"flag-ki","🇰🇲":"flag-km","🇰🇳":"flag-kn","🇰🇵":"flag-kp","🇰🇷":"kr flag-kr","🇰🇼":"flag-kw","🇰🇾":"flag-ky","🇰🇿":"flag-kz","🇱🇦":"flag-la","🇱🇧":"flag-lb","🇱🇨":"flag-lc","🇱🇮":"flag-li","🇱🇰":"flag-lk","🇱🇷":"flag-lr","🇱🇸":"flag-ls",
"🇱🇹":"flag-lt","🇱🇺":"flag-lu","🇱🇻":"flag-lv","🇱🇾":"flag-ly","🇲🇦":"flag-ma","🇲🇨":"flag-mc","🇲🇩":"flag-md","🇲🇪":"flag-me","🇲🇫":"flag-mf","🇲🇬":"flag-mg","🇲🇭":"flag-mh","🇲🇰":"flag-mk","🇲🇱":"flag-ml","🇲🇲":"flag-mm","🇲🇳":"flag-mn",
"🇲🇴":"flag-mo","🇲🇵":"flag-mp","🇲🇶":"flag-mq","🇲🇷":"flag-mr","🇲🇸":"flag-ms","🇲🇹":"flag-mt","🇲🇺":"flag-mu","🇲🇻":"flag-mv","🇲🇼":"flag-mw","🇲🇽":"flag-mx","🇲🇾":"flag-my","🇲🇿":"flag-mz","🇳🇦":"flag-na","🇳🇨":"flag-nc","🇳🇪":"flag-ne",
"🇳🇫":"flag-nf","🇳🇬":"flag-ng","🇳🇮":"flag-ni","🇳🇱":"flag-nl","🇳🇴":"flag-no","🇳🇵":"flag-np","🇳🇷":"flag-nr","🇳🇺":"flag-nu","🇳🇿":"flag-nz","🇴🇲":"flag-om","🇵🇦":"flag-pa","🇵🇪":"flag-pe","🇵🇫":"flag-pf","🇵🇬":"flag-pg","🇵🇭":"flag-ph",
"🇵🇰":"flag-pk","🇵🇱":"flag-pl","🇵🇲":"flag-pm","🇵🇳":"flag-pn","🇵🇷":"flag-pr","🇵🇸":"flag-ps","🇵🇹":"flag-pt","🇵🇼":"flag-pw","🇵🇾":"flag-py","🇶🇦":"flag-qa","🇷🇪":"flag-re","🇷🇴":"flag-ro","🇷🇸":"flag-rs","🇷🇺":"ru flag-ru","🇷🇼":"flag-rw",
"🇸🇦":"flag-sa","🇸🇧":"flag-sb","🇸🇨":"flag-sc","🇸🇩":"flag-sd","🇸🇪":"flag-se","🇸🇬":"flag-sg","🇸🇭":"flag-sh","🇸🇮":"flag-si","🇸🇯":"flag-sj","🇸🇰":"flag-sk","🇸🇱":"flag-sl","🇸🇲":"flag-sm","🇸🇳":"flag-sn","🇸🇴":"flag-so","🇸🇷":"flag-sr",
"🇸🇸":"flag-ss","🇸🇹":"flag-st","🇸🇻":"flag-sv","🇸🇽":"flag-sx","🇸🇾":"flag-sy","🇸🇿":"flag-sz","🇹🇦":"flag-ta","🇹🇨":"flag-tc","🇹🇩":"flag-td","🇹🇫":"flag-tf","🇹🇬":"flag-tg","🇹🇭":"flag-th","🇹🇯":"flag-tj","🇹🇰":"flag-tk","🇹🇱":"flag-tl",
"🇹🇲":"flag-tm","🇹🇳":"flag-tn","🇹🇴":"flag-to","🇹🇷":"flag-tr","🇹🇹":"flag-tt","🇹🇻":"flag-tv","🇹🇼":"flag-tw","🇹🇿":"flag-tz","🇺🇦":"flag-ua","🇺🇬":"flag-ug","🇺🇲":"flag-um","🇺🇳":"flag-un","🇺🇸":"us flag-us","🇺🇾":"flag-uy","🇺🇿":"flag-uz",
"🇻🇦":"flag-va","🇻🇨":"flag-vc","🇻🇪":"flag-ve","🇻🇬":"flag-vg","🇻🇮":"flag-vi","🇻🇳":"flag-vn","🇻🇺":"flag-vu","🇼🇫":"flag-wf","🇼🇸":"flag-ws","🇽🇰":"flag-xk","🇾🇪":"flag-ye","🇾🇹":"flag-yt","🇿🇦":"flag-za","🇿🇲":"flag-zm","🇿🇼":"flag-zw",
"🏴\udb40\udc67\udb40\udc62\udb40\udc65\udb40\udc6e\udb40\udc67\udb40\udc7f":"flag-england","🏴\udb40\udc67\udb40\udc62\udb40\udc73\udb40\udc63\udb40\udc74\udb40\udc7f":"flag-scotland",
"🏴\udb40\udc67\udb40\udc62\udb40\udc77\udb40\udc6c\udb40\udc73\udb40\udc7f":"flag-wales"
}'::jsonb ->> regexp_replace(emoji, '[\ufe0f\U0001f3fb-\U0001f3ff]', '', 'g'), ' ');
end
$func$;
comment on function slack.emoji_names(text) is
  'Slack''s names of an emoji character, the one that Slack itself writes first: {laughing,satisfied}. Null for any other text.';

create or replace function slack.emoji_in(value text)
returns setof text
language sql immutable parallel safe
as $func$
  with found as
  ( select m[1] as emoji
    from regexp_matches
    ( value
    , '([\U0001f1e6-\U0001f1ff]{2}'
      '|[0-9#*]\ufe0f?\u20e3'
      '|[©®\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23fa\u24c2\u25aa-\u25fe\u2600-\u27bf\u2934\u2935\u2b05-\u2b55\u3030\u303d\u3297\u3299\U0001f004-\U0001faff]'
      '[\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*'
      '(?:\u200d[\u2190-\u2bff\U0001f004-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*)*)'
    , 'g'
    ) m
  )
  select e
  from
  ( select f.emoji from found f
    union
    select regexp_split_to_table(f.emoji, '\u200d') from found f where strpos(f.emoji, e'\u200d') > 0
  ) s (e)
  order by length(e) desc, e
$func$;
comment on function slack.emoji_in(text) is 'The emoji characters in the text, each once, the longest first, with what belongs to them: the skin tone, the second half of a flag. Of one that is joined from several, such as a family, these come, too.';
